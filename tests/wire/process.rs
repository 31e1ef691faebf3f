//! A daemon under a supervisor: what systemd would do for it when it dies, as little as the bench needs.

use super::namespace::Namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// What the supervisor runs once the daemon is dead, as every `ExecStopPost=` of a unit, in order.
#[derive(Debug)]
pub struct StopStep {
    pub commands: Vec<Command>,
    /// Time between the death and the start of the first.
    pub latency: Duration,
}

/// A daemon that was started; it is killed with this value.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    alive: Arc<AtomicBool>,
    supervisor: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts `command` in `namespace`; what it prints is added to `log`.
    pub fn start(namespace: &Namespace, mut command: Command, stop_step: Option<StopStep>, log: &Path) -> Self {
        let print = |command: &mut Command| {
            let file = File::options().create(true).append(true).open(log).unwrap();
            command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file);
        };
        print(&mut command);
        let mut child = namespace.within(|| command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        let alive = Arc::new(AtomicBool::new(true));
        let flag = Arc::clone(&alive);
        // The step runs where the daemon ran. It is readied now, so that only `latency` passes before it starts.
        let home = namespace.again();
        let stop_step = stop_step.map(|mut step| {
            step.commands.iter_mut().for_each(print);
            step
        });
        let supervisor = thread::spawn(move || {
            home.enter();
            child.wait().unwrap();
            flag.store(false, Ordering::Relaxed);
            if let Some(mut step) = stop_step {
                thread::sleep(step.latency);
                step.commands.iter_mut().for_each(|command| {
                    command.status().unwrap();
                });
            }
        });
        Self { pid, alive, supervisor: Some(supervisor) }
    }

    pub fn alive(&self) -> bool {
        self.alive.load(Ordering::Relaxed)
    }

    /// It and its children, parents first.
    pub fn pids(&self) -> Vec<Pid> {
        let path = format!("/proc/{0}/task/{0}/children", self.pid);
        let children = std::fs::read_to_string(path).unwrap_or_default();
        let children = children.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()));
        std::iter::once(self.pid).chain(children).collect()
    }

    /// Sends `signal` to the main process.
    pub fn signal(&self, signal: Signal) {
        if self.alive() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Sends `signal` to it and its children.
    pub fn signal_all(&self, signal: Signal) {
        for pid in self.pids() {
            let _ = kill(pid, signal);
        }
    }

    /// Kills it and its children at one moment. The parent is stopped first: it would start a dead child again, and a child whose
    /// parent dies first would be told to stop in order, which is not what a crash is.
    pub fn kill_all(&self) {
        if !self.alive() {
            return;
        }
        let pids = self.pids();
        if pids.len() > 1 {
            let _ = kill(self.pid, Signal::SIGSTOP);
        }
        for pid in pids.iter().rev() {
            let _ = kill(*pid, Signal::SIGKILL);
        }
    }

    /// Waits until it has ended and its stop step has run.
    pub fn ended(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if self.supervisor.as_ref().is_none_or(JoinHandle::is_finished) {
                return true;
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_all();
        // A stop step that hangs goes down with the world; it must not take the measurement along.
        if !self.ended(Duration::from_secs(10)) {
            eprintln!("the stop step of process {} does not end", self.pid);
        }
    }
}
