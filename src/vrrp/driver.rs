//! The daemon: its start-up, and the threads beside the one that waits in epoll ([`event_loop`]).

mod event_loop;

use super::address;
use super::config::{Config, ConfigError, Fence};
use super::fact::{Fact, Mailbox};
use super::guard;
use super::health::{Verdict, prober::Prober};
use super::keeper;
use super::lease::{self, Lease};
use super::links::Links;
use super::netlink::{NetlinkError, Route};
use super::packet::{Discard, Remark};
use super::scribe::{Note, Notes, Pulse, Scribe};
use super::socket::{self};
use super::watch::{self, Watch};
use crate::ident::Digest;
use event_loop::{BELL, Loop, SIGNALS, TIMER};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};

/// Enough for 255 routers to take over, announce, renew and let go while the kernel is busy.
const ERRANDS: usize = 4096;
/// The threads keep little on their stacks, and locked memory counts against the budget of the host.
const STACK: usize = 256 * 1024;
/// Why the daemon could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The configuration file could not be read.
    #[error("cannot read the configuration '{path}'")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The configuration cannot be run.
    #[error("cannot run '{path}'")]
    Config {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: ConfigError,
    },
    /// The kernel refused something the loop cannot do without.
    #[error("cannot {attempt}")]
    Kernel {
        /// What was tried.
        attempt: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Addresses left by an earlier run could not be looked for.
    #[error("cannot clear what an earlier run left")]
    Purge(#[source] NetlinkError),
    /// The thread that watches the links ended.
    #[error("the links cannot be watched any more: {0}")]
    Blind(String),
}

fn kernel<E: Into<io::Error>>(attempt: &'static str) -> impl FnOnce(E) -> DriverError {
    move |source| DriverError::Kernel { attempt, source: source.into() }
}

/// Reads and validates a configuration file.
///
/// # Errors
/// Names the file and every problem.
pub fn read_config(path: &Path) -> Result<(Config, Digest), DriverError> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| DriverError::Read { path: name(), source })?;
    let config = Config::parse(&bytes).map_err(|source| DriverError::Config { path: name(), source })?;
    Ok((config, Digest::of(&bytes)))
}

/// Runs the daemon until SIGTERM or SIGINT, then resigns.
///
/// # Errors
/// When it cannot start, or cannot see the links any more.
pub fn run(config_path: &Path, state_path: &Path) -> Result<(), DriverError> {
    let (config, digest) = read_config(config_path)?;
    // Before any thread is made: they inherit the mask, and the signals wait for the descriptor.
    let mut mask = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| mask.add(signal));
    mask.thread_block().map_err(kernel("block signals"))?;
    let (notes, note_queue, lost) = Notes::new();
    if let Err(error) = socket::lock_memory().and_then(|()| socket::lock_program()) {
        notes.tell(Note::Warning(format!("memory is not locked, advertisements may be late on a busy disk: {error}")));
    }
    // Opened here: a daemon that cannot change addresses must not be elected.
    let mut route = Route::open().map_err(DriverError::Purge)?;
    purge(&mut route, &config, &notes)?;

    let (mailbox, inbox, bell) = Mailbox::new().map_err(kernel("make an event descriptor"))?;
    let pulse = Arc::new(Pulse::default());
    let scribe = Scribe {
        config_path: config_path.to_owned(),
        state_path: state_path.to_owned(),
        mailbox: mailbox.clone(),
        pulse: Arc::clone(&pulse),
        lost,
    };
    let scribe = spawn("scribe", move || {
        // Refused only where real-time scheduling is not in force anyway.
        let _ = socket::yield_to_the_loop();
        scribe.run(&note_queue);
    })?;
    let (errands, errand_queue) = sync_channel(ERRANDS);
    let (keeper_notes, teller) = (notes.clone(), mailbox.clone());
    let keeper = spawn("keeper", move || keeper::run(route, &errand_queue, &teller, &keeper_notes))?;
    let (claims, claim_queue) = sync_channel(ERRANDS);
    let (lease, fence, problem) = open_lease(&config);
    notes.tell(Note::Fenced { fence, problem });
    let (teller, turning) = (mailbox.clone(), Arc::clone(&pulse));
    let lease = lease.map(|lease| spawn("lease", move || lease::run(lease, &claim_queue, &teller, &turning, fence)));
    let lease = lease.transpose()?;
    let (guarded, guard_notes) = (config_path.to_owned(), notes.clone());
    spawn("guard", move || guard::keep(&guarded, &guard_notes))?;
    let watch = Watch::new().map_err(kernel("make an event descriptor"))?;
    let (watching, teller) = (watch.clone(), mailbox.clone());
    spawn("watch", move || {
        if let Err(error) = watch::run(&watching, &teller) {
            teller.tell(Fact::Blind(error.to_string()));
        }
    })?;

    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map_err(kernel("make an epoll descriptor"))?;
    let timer = TimerFd::new(ClockId::CLOCK_BOOTTIME, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)
        .map_err(kernel("make a timer"))?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        .map_err(kernel("make a signal descriptor"))?;
    let waiting = kernel("wait for events");
    epoll
        .add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))
        .and_then(|()| epoll.add(&bell, EpollEvent::new(EpollFlags::EPOLLIN, BELL)))
        .and_then(|()| epoll.add(&signals, EpollEvent::new(EpollFlags::EPOLLIN, SIGNALS)))
        .map_err(waiting)?;
    let mut daemon = Loop {
        links: Links::default(),
        routers: Vec::new(),
        unassigned: Arc::default(),
        fence,
        epoll,
        timer,
        armed: None,
        inbox,
        bell,
        signals,
        errands,
        claims,
        notes: notes.clone(),
        watch,
        prober: Prober::new(mailbox),
        health: Verdict::Healthy,
        fenced_links: config.routers.iter().map(|router| router.link.clone()).collect(),
        pulse,
        told: [None; Discard::ALL.len() + Remark::ALL.len()],
    };
    daemon.take_over(config, digest, socket::now().map_err(kernel("read the clock"))?);
    let result = daemon.run();
    // The loop's end of the errands goes, the keeper does the last ones, and only then is the last word written.
    drop(daemon);
    let _ = keeper.join();
    if let Some(lease) = lease {
        let _ = lease.join();
    }
    notes.close();
    let _ = scribe.join();
    result
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, DriverError> {
    Builder::new().name(name.into()).stack_size(STACK).spawn(work).map_err(kernel("start a thread"))
}

/// Takes off addresses that an earlier run left: a Backup answers for nothing (F5).
fn purge(route: &mut Route, config: &Config, notes: &Notes) -> Result<(), DriverError> {
    let vips: Vec<IpAddr> = config.routers.iter().flat_map(|router| router.addresses.iter().copied()).collect();
    let (removed, result) = address::purge(route, &vips);
    for address in removed {
        notes.tell(Note::Warning(format!("{address} was left on a link by an earlier run and is removed")));
    }
    result.map_err(DriverError::Purge)
}

/// The kernel lease, if the kernel and the unit provide it, and otherwise why not.
fn open_lease(config: &Config) -> (Option<Lease>, Fence, Option<String>) {
    let vips: Vec<IpAddr> = config.routers.iter().flat_map(|router| router.addresses.iter().copied()).collect();
    match Lease::open() {
        Err(error) => (None, Fence::LifetimeOnly, Some(lease::problem(&error))),
        Ok(mut lease) => match lease.fence(&vips) {
            Ok(()) => (Some(lease), Fence::Lease, None),
            // Kept all the same: the table may be loaded later.
            Err(error) => (Some(lease), Fence::LifetimeOnly, Some(lease::problem(&error))),
        },
    }
}
