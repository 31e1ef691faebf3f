//! Whether the machine itself stood still while something was measured.
//!
//! A virtual machine has its processors when its host can spare them. Three milliseconds without one are added to whatever is measured just then,
//! of either daemon. So a program on each processor, ahead of both daemons, sleeps for a millisecond again and again and says
//! when it slept too long: what fell into such a moment is measured again.

use crate::wire::speaker;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The option that makes this program one of them.
pub const METER: &str = "--meter";
/// Ahead of both daemons.
const FIFO_PRIORITY: u8 = 60;
const SLEEP: Duration = Duration::from_millis(1);
/// Shorter ones are not spoken of.
const SHORTEST: Duration = Duration::from_micros(500);
/// For what a meter says to arrive here.
const ARRIVAL: Duration = Duration::from_millis(20);

/// When each one ended, and how long it was.
static STALLS: Mutex<Vec<(Instant, Duration)>> = Mutex::new(Vec::new());

/// The meters, one on each processor, for as long as this lives. None where real-time scheduling is refused: they would
/// only measure how busy the machine is.
#[derive(Debug)]
pub struct Meters(Vec<Child>);

impl Meters {
    pub fn start() -> Self {
        let ahead = speaker::fifo(FIFO_PRIORITY);
        let processors = if ahead.is_empty() { 0 } else { thread::available_parallelism().map_or(1, usize::from) };
        Self((0..processors).map(|processor| start(&ahead, processor)).collect())
    }
}

impl Drop for Meters {
    fn drop(&mut self) {
        for meter in &mut self.0 {
            let _ = meter.kill();
            let _ = meter.wait();
        }
    }
}

fn start(ahead: &[String], processor: usize) -> Child {
    let mut command = Command::new(&ahead[0]);
    command.args(&ahead[1..]).args(["taskset", "--cpu-list", &processor.to_string()]);
    let mut meter = command.arg(std::env::current_exe().unwrap()).arg(METER).stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(meter.stdout.take().unwrap());
    thread::spawn(move || {
        for line in said.lines().map_while(Result::ok) {
            let stall = Duration::from_micros(line.parse().unwrap());
            STALLS.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), stall));
        }
    });
    meter
}

/// What a meter does until it is killed.
pub fn meter() -> ! {
    loop {
        let begin = Instant::now();
        thread::sleep(SLEEP);
        let over = begin.elapsed().saturating_sub(SLEEP);
        if over > SHORTEST {
            println!("{}", over.as_micros());
        }
    }
}

/// Fails when the machine stood still for longer than `most` since `begun`.
pub fn since(begun: Instant, most: Duration) -> Result<(), String> {
    thread::sleep(ARRIVAL);
    let stalls = STALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let longest = stalls.iter().filter(|(ended, _)| *ended >= begun).map(|(_, stall)| *stall).max();
    match longest {
        Some(stall) if stall > most => Err(format!("measured again: the machine stood still for {stall:.1?}")),
        _ => Ok(()),
    }
}
