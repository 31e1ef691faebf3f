//! The daemon: one thread that waits in epoll, feeds the machines and does what they say.
//!
//! It decides nothing and waits for nothing but epoll. Everything that may take time (addresses, links, files, log, probes) is done by
//! other threads, which it hands values to and gets [`Fact`]s from. Per wake-up, in this order: datagrams first, since an
//! advertisement that is waiting proves that the Active is alive; then facts and signals; then timers.

use super::config::{Config, ConfigError, Fence};
use super::fact::{Fact, LinkView, Mailbox};
use super::guard;
use super::health::{Verdict, prober::Prober};
use super::keeper::{self, Errand, Task};
use super::lease::{self, Claim, Lease};
use super::links::Links;
use super::machine::AddressesChanged;
use super::netlink::{NetlinkError, Route};
use super::packet::{Discard, Remark};
use super::router::{Outcome, Router};
use super::scribe::{Note, Notes, Pulse, Scribe};
use super::socket::{self, Buffer};
use super::time::Time;
use super::watch::{self, Watch};
use super::{address, counters::Counters};
use crate::ident::Digest;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// Datagrams taken from one socket per wake-up, so that a flood cannot keep the timers from running.
const DATAGRAMS_PER_TURN: usize = 512;
/// Enough for 255 routers to take over, announce, renew and let go while the kernel is busy.
const ERRANDS: usize = 4096;
/// The threads keep little on their stacks, and locked memory counts against the budget of the host.
const STACK: usize = 256 * 1024;
/// The loop turns at least this often, so that the watchdog can tell idle from stuck.
const TURN_AT_LEAST_MS: u16 = 1000;
/// One log line per reason in this time (R14).
const TELL_AGAIN: Duration = Duration::from_secs(10);

const TIMER: u64 = 0;
const BELL: u64 = 1;
const SIGNALS: u64 = 2;
/// Tokens of sockets begin here.
const PORTS: u64 = 3;

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
    if let Err(error) = socket::lock_memory() {
        notes.tell(Note::Warning(format!("memory is not locked, advertisements may be late on a busy disk: {error}")));
    }
    purge(&config, &notes)?;

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
    let keeper_notes = notes.clone();
    let keeper = spawn("keeper", move || {
        if let Err(error) = keeper::run(&errand_queue, &keeper_notes) {
            keeper_notes.tell(Note::Warning(format!("addresses cannot be kept: {error}")));
        }
    })?;
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
fn purge(config: &Config, notes: &Notes) -> Result<(), DriverError> {
    let vips: Vec<IpAddr> = config.routers.iter().flat_map(|router| router.addresses.iter().copied()).collect();
    let (removed, result) = address::purge(&mut Route::open().map_err(DriverError::Purge)?, &vips);
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

/// Whether the loop goes on.
enum Course {
    On,
    Stop,
}

struct Loop {
    links: Links,
    routers: Vec<Router>,
    /// Of datagrams that belong to no router.
    unassigned: Arc<Counters>,
    fence: Fence,
    epoll: Epoll,
    timer: TimerFd,
    /// What the timer is set to.
    armed: Option<Time>,
    inbox: Receiver<Fact>,
    bell: Arc<EventFd>,
    signals: SignalFd,
    errands: SyncSender<Errand>,
    claims: SyncSender<Claim>,
    notes: Notes,
    watch: Watch,
    prober: Prober,
    health: Verdict,
    /// The links whose rules the unit loaded when it started.
    fenced_links: BTreeSet<String>,
    pulse: Arc<Pulse>,
    /// When each reason for a discard, and each remark behind them, was told last.
    told: [Option<Time>; Discard::ALL.len() + Remark::ALL.len()],
}

impl Loop {
    fn run(&mut self) -> Result<(), DriverError> {
        let mut events = [EpollEvent::empty(); 64];
        let mut buffer = Buffer::default();
        loop {
            self.arm()?;
            let ready = match self.epoll.wait(&mut events, EpollTimeout::from(TURN_AT_LEAST_MS)) {
                Ok(ready) => ready,
                Err(nix::errno::Errno::EINTR) => continue,
                Err(error) => return Err(kernel("wait for events")(error)),
            };
            self.pulse.turns.fetch_add(1, Ordering::Relaxed);
            for event in &events[..ready] {
                if event.data() >= PORTS {
                    self.drain(event.data() - PORTS, &mut buffer)?;
                }
            }
            for event in &events[..ready] {
                match event.data() {
                    // Read only to fall silent; the deadlines are the machines'.
                    TIMER => {
                        let _ = self.timer.wait();
                    }
                    BELL => self.hear()?,
                    SIGNALS => {
                        if let Course::Stop = self.signalled()? {
                            return Ok(());
                        }
                    }
                    _ => {}
                }
            }
            let now = socket::now().map_err(kernel("read the clock"))?;
            for at in 0..self.routers.len() {
                if self.routers[at].machine.next_timeout().is_some_and(|deadline| deadline <= now) {
                    self.routers[at].handle_timeout(now);
                    self.perform(at);
                }
            }
        }
    }

    /// Sets the timer to the earliest deadline.
    fn arm(&mut self) -> Result<(), DriverError> {
        let earliest = self.routers.iter().filter_map(|router| router.machine.next_timeout()).min();
        if earliest == self.armed {
            return Ok(());
        }
        self.armed = earliest;
        let set = match earliest {
            // A deadline of zero would disarm it.
            Some(deadline) => {
                let at = TimeSpec::from(Duration::from_nanos(deadline.nanos().max(1)));
                self.timer.set(Expiration::OneShot(at), TimerSetTimeFlags::TFD_TIMER_ABSTIME)
            }
            None => self.timer.unset(),
        };
        set.map_err(kernel("set the timer"))
    }

    /// Takes what waits on one socket.
    fn drain(&mut self, port: u64, buffer: &mut Buffer) -> Result<(), DriverError> {
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some((link, port)) = self.links.port(port) else { return Ok(()) };
            // An error, such as that the link went down, is told by the link itself as well.
            let Ok(Some(received)) = port.receive(buffer) else { return Ok(()) };
            let now = socket::now().map_err(kernel("read the clock"))?;
            let source = received.datagram.as_ref().ok().map(|datagram| datagram.source);
            let outcome = match received.datagram {
                Err(reason) => Err((None, reason)),
                Ok(datagram) => match datagram.vrid().and_then(|vrid| self.links.router(link, vrid)) {
                    None => Err((None, if datagram.message.len() < 8 { Discard::Length } else { Discard::Vrid })),
                    Some(at) => self.routers[at]
                        .handle_datagram(&datagram, received.at, now)
                        .map(|outcome| (at, outcome))
                        .map_err(|reason| (Some(at), reason)),
                },
            };
            match outcome {
                Ok((at, Outcome { remarks })) => {
                    for remark in remarks.into_iter().flatten() {
                        self.remark(at, remark, source, now);
                    }
                    self.perform(at);
                }
                Err((at, reason)) => {
                    at.map_or(&self.unassigned, |at| &self.routers[at].counters).discarded(reason);
                    if self.is_due(reason as usize, now) {
                        self.notes.tell(Note::Discarded { reason, source });
                    }
                }
            }
        }
        Ok(())
    }

    fn remark(&mut self, at: usize, remark: Remark, source: Option<IpAddr>, now: Time) {
        self.routers[at].counters.remarked(remark);
        if let Some(source) = source
            && self.is_due(Discard::ALL.len() + remark as usize, now)
        {
            self.notes.tell(Note::Remarked { remark, source });
        }
    }

    /// Whether something is to be told again by now; if so it counts as told.
    fn is_due(&mut self, what: usize, now: Time) -> bool {
        let due = self.told[what].is_none_or(|told| now.since(told) >= TELL_AGAIN);
        if due {
            self.told[what] = Some(now);
        }
        due
    }

    /// Takes the facts that wait.
    fn hear(&mut self) -> Result<(), DriverError> {
        // Before the facts: one that is put while they are taken rings again.
        let _ = self.bell.read();
        while let Ok(fact) = self.inbox.try_recv() {
            let now = socket::now().map_err(kernel("read the clock"))?;
            match fact {
                Fact::Link { name, view } => self.link_changed(&name, view, now),
                Fact::AddressGone { index, address } => {
                    for at in 0..self.routers.len() {
                        if self.routers[at].misses(index, address) {
                            self.routers[at].machine.handle_vip_lost(now);
                            self.perform(at);
                        }
                    }
                }
                Fact::Config { config, digest } => self.take_over(config, digest, now),
                Fact::Health { verdict, complaints } => {
                    self.notes.tell(Note::Unhealthy(complaints));
                    self.health = verdict;
                    for at in 0..self.routers.len() {
                        self.routers[at].machine.handle_health(verdict);
                        self.perform(at);
                    }
                }
                Fact::Fence { fence, problem } => self.fenced(fence, problem, now),
                Fact::Blind(error) => return Err(DriverError::Blind(error)),
            }
        }
        Ok(())
    }

    /// Another fence is in force: addresses live longer behind a lease than without.
    fn fenced(&mut self, fence: Fence, problem: Option<String>, now: Time) {
        self.fence = fence;
        for router in &mut self.routers {
            router.machine.reconfigure(router.config.rules(fence), AddressesChanged::No, now);
        }
        self.notes.tell(Note::Fenced { fence, problem });
    }

    fn signalled(&mut self) -> Result<Course, DriverError> {
        while let Some(signal) = self.signals.read_signal().map_err(kernel("read a signal"))? {
            if i32::try_from(signal.ssi_signo) == Ok(Signal::SIGHUP as i32) {
                self.notes.tell(Note::ReadConfig);
                continue;
            }
            for at in 0..self.routers.len() {
                self.routers[at].machine.stop();
                self.perform(at);
            }
            return Ok(Course::Stop);
        }
        Ok(Course::On)
    }

    fn link_changed(&mut self, name: &str, view: LinkView, now: Time) {
        let Some(link) = self.links.find(name) else { return };
        let opened = self.links.change(link, view, |token, port| {
            Ok(self.epoll.add(port, EpollEvent::new(EpollFlags::EPOLLIN, PORTS + token))?)
        });
        if let Err(error) = opened {
            self.notes.tell(Note::PortFailed { link: name.to_owned(), error });
        }
        for at in 0..self.routers.len() {
            if self.routers[at].link == link {
                self.routers[at].handle_link(self.links.view(link), now);
                self.perform(at);
            }
        }
    }

    /// Runs `config` from now on. Routers that stay keep their state and timers (B4); those that go resign; new ones start.
    fn take_over(&mut self, config: Config, digest: Digest, now: Time) {
        let (verdict, probing) = self.prober.follow(&config.probes);
        self.health = verdict;
        let unfenced = config.routers.iter().find(|router| !self.fenced_links.contains(&router.link));
        if let (Some(router), Fence::Lease) = (unfenced, self.fence) {
            let problem = format!("the table has no rules for '{}'; restart the unit to load them", router.link);
            self.fenced(Fence::LifetimeOnly, Some(problem), now);
        }
        if let Err(error) = probing {
            self.notes.tell(Note::Warning(format!("a probe cannot be started: {error}")));
        }
        let mut old = std::mem::take(&mut self.routers);
        let old_links = std::mem::take(&mut self.links);
        self.links = Links::of(&config, old_links);
        for wanted in &config.routers {
            let Some(link) = self.links.find(&wanted.link) else { continue };
            let at = self.routers.len();
            self.links.assign(link, wanted.vrid, at);
            match old.iter().position(|router| router.is(wanted)) {
                Some(same) => {
                    let mut router = old.swap_remove(same);
                    router.link = link;
                    self.claim(Claim::Fence(wanted.addresses.clone().into()));
                    let stale = router.reconfigure(wanted, self.fence, now);
                    router.machine.handle_health(verdict);
                    self.routers.push(router);
                    if let Some(addresses) = stale {
                        self.let_go(at, addresses);
                    }
                }
                None => {
                    self.claim(Claim::Fence(wanted.addresses.clone().into()));
                    let mut router = Router::new(wanted, link, self.fence);
                    router.machine.handle_health(verdict);
                    router.handle_link(self.links.view(link), now);
                    self.routers.push(router);
                }
            }
        }
        let counters = self.routers.iter().map(|router| &router.counters).chain([&self.unassigned]).cloned().collect();
        self.watch.follow(config.routers.iter().map(|router| router.link.clone()).collect());
        self.notes.tell(Note::Running { config, digest, counters });
        for at in 0..self.routers.len() {
            self.perform(at);
        }
        // The addresses of those that go are on the same keeper's way, behind everything above.
        let stay = self.routers.len();
        for mut router in old {
            router.machine.stop();
            self.routers.push(router);
            self.perform(stay);
            self.routers.truncate(stay);
        }
    }

    /// Does what a machine says, and tells the scribe if the router stands differently now.
    fn perform(&mut self, at: usize) {
        use super::machine::Action;
        while let Some(action) = self.routers[at].machine.poll_action() {
            match action {
                Action::SendAdvert { priority } => {
                    let sources = self.routers[at].machine.sources();
                    self.routers[at].send(&self.links, sources, priority);
                }
                Action::InstallVip | Action::RenewVip => {
                    let lifetime = self.routers[at].config.lifetime(self.fence);
                    // An advertisement that did not leave gives no right to keep the address.
                    if action == Action::InstallVip || self.routers[at].sent_last {
                        self.errand(at, Arc::clone(&self.routers[at].addresses), Task::Install { lifetime });
                    }
                }
                Action::RemoveVip => self.let_go(at, Arc::clone(&self.routers[at].addresses)),
                Action::Announce => self.errand(at, Arc::clone(&self.routers[at].addresses), Task::Announce),
                Action::ExtendLease { until } => {
                    if self.routers[at].sent_last {
                        self.claim(Claim::Hold { addresses: Arc::clone(&self.routers[at].addresses), until });
                    }
                }
                Action::Moved { from, to, why } => self.notes.tell(Note::Moved { router: at, from, to, why }),
                Action::Remark(remark) => {
                    let source = self.routers[at].machine.active();
                    if let Ok(now) = socket::now() {
                        self.remark(at, remark, source, now);
                    }
                }
            }
        }
        if let Some(standing) = self.routers[at].news() {
            self.notes.tell(Note::Stands { router: at, standing });
        }
    }

    /// Ends the lease, which takes effect at once, and takes the addresses off.
    fn let_go(&self, at: usize, addresses: Arc<[IpAddr]>) {
        self.claim(Claim::Drop(Arc::clone(&addresses)));
        self.errand(at, addresses, Task::Remove);
    }

    /// A claim that finds no room is one that the kernel is not keeping up with; the lease runs out then, as it should.
    fn claim(&self, claim: Claim) {
        let _ = self.claims.try_send(claim);
    }

    fn errand(&self, at: usize, addresses: Arc<[IpAddr]>, task: Task) {
        let router = &self.routers[at];
        let Some(place) = router.place else { return };
        let errand = Errand { vrid: router.config.vrid, place, addresses, task };
        if let Err(TrySendError::Full(errand)) = self.errands.try_send(errand) {
            let Errand { vrid, task, .. } = errand;
            self.notes.tell(Note::Warning(format!("virtual router {vrid}: too much is waiting to do {task:?}")));
        }
    }
}
