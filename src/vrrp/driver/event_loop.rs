//! The loop of the daemon: it waits in epoll, feeds the machines and does what they say.
//!
//! It decides nothing and waits for nothing but epoll. Everything that may take time (addresses, links, files, log, probes) is done by
//! other threads, which it hands values to and gets [`Fact`]s from. Per wake-up, in this order: datagrams first, since an
//! advertisement that is waiting proves that the Active is alive; then facts and signals; then timers.

use super::{DriverError, kernel};
use crate::ident::Digest;
use crate::vrrp::config::{Config, Fence};
use crate::vrrp::counters::Counters;
use crate::vrrp::fact::{Fact, LinkView};
use crate::vrrp::health::{Verdict, prober::Prober};
use crate::vrrp::keeper::{Errand, Task};
use crate::vrrp::lease::Claim;
use crate::vrrp::links::Links;
use crate::vrrp::machine::AddressesChanged;
use crate::vrrp::packet::{Discard, Remark};
use crate::vrrp::router::{Outcome, Router};
use crate::vrrp::scribe::{Note, Notes, Pulse};
use crate::vrrp::socket::{self, Buffer};
use crate::vrrp::time::Time;
use crate::vrrp::watch::Watch;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::eventfd::EventFd;
use nix::sys::signal::Signal;
use nix::sys::signalfd::SignalFd;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{Expiration, TimerFd, TimerSetTimeFlags};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::time::Duration;

/// Datagrams taken from one socket per wake-up, so that a flood cannot keep the timers from running.
const DATAGRAMS_PER_TURN: usize = 512;
/// The loop turns at least this often, so that the watchdog can tell idle from stuck.
const TURN_AT_LEAST_MS: u16 = 1000;
/// One log line per reason in this time (R14).
const TELL_AGAIN: Duration = Duration::from_secs(10);

pub(super) const TIMER: u64 = 0;
pub(super) const BELL: u64 = 1;
pub(super) const SIGNALS: u64 = 2;
/// Tokens of sockets begin here.
pub(super) const PORTS: u64 = 3;

/// Whether the loop goes on.
enum Course {
    On,
    Stop,
}

/// What the loop works with; put together by [`super::run`].
pub(super) struct Loop {
    pub(super) links: Links,
    pub(super) routers: Vec<Router>,
    /// Of datagrams that belong to no router.
    pub(super) unassigned: Arc<Counters>,
    pub(super) fence: Fence,
    pub(super) epoll: Epoll,
    pub(super) timer: TimerFd,
    /// What the timer is set to.
    pub(super) armed: Option<Time>,
    pub(super) inbox: Receiver<Fact>,
    pub(super) bell: Arc<EventFd>,
    pub(super) signals: SignalFd,
    pub(super) errands: SyncSender<Errand>,
    pub(super) claims: SyncSender<Claim>,
    pub(super) notes: Notes,
    pub(super) watch: Watch,
    pub(super) prober: Prober,
    pub(super) health: Verdict,
    /// The links whose rules the unit loaded when it started.
    pub(super) fenced_links: BTreeSet<String>,
    pub(super) pulse: Arc<Pulse>,
    /// When each reason for a discard, and each remark behind them, was told last.
    pub(super) told: [Option<Time>; Discard::ALL.len() + Remark::ALL.len()],
}

impl Loop {
    /// Turns until a signal ends it.
    pub(super) fn run(&mut self) -> Result<(), DriverError> {
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
    pub(super) fn take_over(&mut self, config: Config, digest: Digest, now: Time) {
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
        use crate::vrrp::machine::Action;
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
