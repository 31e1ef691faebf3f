//! Whether the machine itself stood still while something was measured.
//!
//! A virtual machine has its processors when its host can spare them. Three milliseconds without one are added to whatever is due just then,
//! of either daemon. So a program on each processor, ahead of both daemons, sleeps for a millisecond again and again and says
//! when it slept too long. A kernel that is busy in here, perhaps for one of the daemons, lets it oversleep too; then its timer rang
//! in time and the scheduler knows how long it stood in line. That is no stall: it is part of what is measured.

use crate::wire::{Moment, speaker};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// The option that makes this program one of them.
pub const METER: &str = "--meter";
/// Ahead of both daemons.
const FIFO_PRIORITY: u8 = 60;
const SLEEP: Duration = Duration::from_millis(1);
/// Shorter ones are not spoken of.
const SHORTEST: Duration = Duration::from_micros(500);
/// From and until when.
static STALLS: Mutex<Vec<[Moment; 2]>> = Mutex::new(Vec::new());

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
            let mut ends = line.split(' ').map(|ns| Moment(ns.parse().unwrap()));
            let stall = [ends.next().unwrap(), ends.next().unwrap()];
            STALLS.lock().unwrap_or_else(PoisonError::into_inner).push(stall);
        }
    });
    meter
}

/// What a meter does until it is killed.
pub fn meter() -> ! {
    let mut stood = in_line();
    loop {
        let due = Moment::now() + SLEEP;
        thread::sleep(SLEEP);
        let woken = Moment::now();
        let stood_before = std::mem::replace(&mut stood, in_line());
        let rang = woken - (stood - stood_before);
        if rang > due + SHORTEST {
            println!("{} {}", due.0, rang.0);
        }
    }
}

/// For how long this thread has been ready to run and did not, because the processor was in use: the scheduler's own account.
fn in_line() -> Duration {
    let account = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(account.split(' ').nth(1).unwrap().parse().unwrap())
}

/// For how many milliseconds the machine stood still at a time, at most, between two moments. What it says of the last hundredth of
/// a second may still be on its way.
pub fn stood_still_ms(from: Moment, to: Moment) -> f64 {
    let stalls = STALLS.lock().unwrap_or_else(PoisonError::into_inner);
    let overlapping = stalls.iter().filter(|[begin, end]| *begin < to && *end > from);
    overlapping.map(|[begin, end]| end.ms_since(*begin)).fold(0.0, f64::max)
}
