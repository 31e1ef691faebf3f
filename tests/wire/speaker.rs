//! A VRRP daemon on a host, whichever it is: started, stopped, killed, frozen, looked at.

use super::lab::Host;
use super::process::Process;
use super::router::Router;
use super::{frr, keepalived, quorate};
use nix::sys::signal::Signal;
use nix::unistd::Pid;
use std::fmt;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// SCHED_FIFO priority of every speaker, the one that quorate-vrrpd's unit asks for.
pub const FIFO_PRIORITY: u8 = 20;

/// Whether this machine grants that scheduling; where it does not, no speaker has it.
fn grants_fifo() -> bool {
    static GRANTED: OnceLock<bool> = OnceLock::new();
    let try_it = || Command::new("chrt").args(["--fifo", &FIFO_PRIORITY.to_string(), "true"]).output();
    *GRANTED.get_or_init(|| try_it().is_ok_and(|output| output.status.success()))
}

/// How the speakers are scheduled, for the reader of a report.
pub fn scheduling() -> String {
    if grants_fifo() {
        format!("both daemons under SCHED_FIFO {FIFO_PRIORITY}")
    } else {
        "SCHED_FIFO is refused here: both daemons under the ordinary scheduler".into()
    }
}

/// A command for `program`, scheduled as every speaker is.
pub fn command(program: &str) -> Command {
    let mut words = fifo(FIFO_PRIORITY);
    words.push(program.into());
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

/// What goes before a command so that it runs under SCHED_FIFO; nothing where that is refused.
pub fn fifo(priority: u8) -> Vec<String> {
    if grants_fifo() { ["chrt", "--fifo", &priority.to_string()].map(String::from).to_vec() } else { Vec::new() }
}

/// Which daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Quorate,
    Keepalived,
    Frr,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Kind::Quorate => "quorate",
            Kind::Keepalived => "keepalived",
            Kind::Frr => "frr",
        })
    }
}

/// A running daemon; it is killed with this value.
#[derive(Debug)]
pub struct Speaker {
    pub kind: Kind,
    /// `Lab::hosts[host]`.
    pub host: usize,
    /// The last one speaks VRRP; those before it serve it.
    processes: Vec<Process>,
    directory: TempDir,
}

impl Speaker {
    /// Starts a daemon and waits until it listens for VRRP.
    pub fn start(kind: Kind, host: &Host, routers: &[Router]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let processes = match kind {
            Kind::Quorate => vec![quorate::start(host, routers, directory.path())],
            Kind::Keepalived => vec![keepalived::start(host, routers, directory.path())],
            Kind::Frr => frr::start(host, routers, directory.path()),
        };
        let speaker = Self { kind, host: host.index, processes, directory };
        let deadline = Instant::now() + Duration::from_secs(20);
        while !host.listens() {
            assert!(Instant::now() < deadline && speaker.daemon().alive(), "{kind} does not start:\n{}", speaker.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        speaker
    }

    fn daemon(&self) -> &Process {
        self.processes.last().unwrap()
    }

    /// Asks it to stop in order.
    pub fn stop(&self) {
        self.daemon().signal(Signal::SIGTERM);
    }

    /// Asks it to stop in order and waits until it has.
    pub fn stop_and_wait(&self) {
        self.stop();
        assert!(self.daemon().ended(Duration::from_secs(20)), "{} does not stop:\n{}", self.kind, self.log());
    }

    /// Kills what speaks VRRP. keepalived's parent dies with it: alone it would tell its child to stop in order, and left over it
    /// would start another.
    pub fn kill(&self) {
        match self.kind {
            Kind::Keepalived => self.daemon().kill_all(),
            Kind::Quorate | Kind::Frr => self.daemon().signal(Signal::SIGKILL),
        }
    }

    /// Asks it to read its configuration again.
    pub fn reload(&self) {
        self.daemon().signal(Signal::SIGHUP);
    }

    /// How often it says it has.
    pub fn reloads(&self) -> usize {
        let (words, at_start) = match self.kind {
            Kind::Quorate => ("running 1 virtual routers", 1),
            Kind::Keepalived => ("Reloading", 0),
            Kind::Frr => return 0,
        };
        self.log().matches(words).count().saturating_sub(at_start)
    }

    pub fn freeze(&self) {
        self.daemon().signal_all(Signal::SIGSTOP);
    }

    pub fn thaw(&self) {
        self.daemon().signal_all(Signal::SIGCONT);
    }

    /// Its processes, those that serve it included.
    pub fn pids(&self) -> Vec<Pid> {
        self.processes.iter().flat_map(Process::pids).collect()
    }

    /// What it printed so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
    /// For how long each of its threads ran and waited for a processor, in nanoseconds, as the scheduler has it.
    pub fn account(&self) -> String {
        let tasks = self.pids().into_iter().filter_map(|pid| std::fs::read_dir(format!("/proc/{pid}/task")).ok());
        let line = |task: std::fs::DirEntry| {
            let file = |name| std::fs::read_to_string(task.path().join(name)).unwrap_or_default();
            format!("{}: {}", file("comm").trim(), file("schedstat").trim())
        };
        tasks.flatten().flatten().map(line).collect::<Vec<_>>().join("\n")
    }
}
