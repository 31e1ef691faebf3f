//! The loop of the daemon: it waits in epoll, feeds the machines and does what they say.
//!
//! It decides nothing and waits for nothing but epoll. Everything that may take time (addresses, links, files, log, probes) is done by
//! other threads, which it hands values to and gets [`Fact`]s from. Per wake-up, in this order: datagrams first, since an
//! advertisement that is waiting proves that the Active is alive; then facts and signals; then timers.

mod perform;
mod reload;

use super::{DriverError, kernel};
use crate::vrrp::config::Fence;
use crate::vrrp::counters::Counters;
use crate::vrrp::fact::{Answer, Fact, LinkView};
use crate::vrrp::health::{Verdict, prober::Prober};
use crate::vrrp::keeper::Errand;
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
use std::sync::mpsc::{Receiver, SyncSender};
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
                Fact::Vip { vrid, index, answer } => {
                    let of = |router: &Router| {
                        router.config.vrid == vrid && router.place.is_some_and(|place| place.index == index)
                    };
                    if let Some(at) = self.routers.iter().position(of) {
                        match answer {
                            Answer::Accepted => self.routers[at].machine.handle_vip_accepted(now),
                            Answer::Refused => self.routers[at].machine.handle_vip_refused(now),
                        }
                        self.perform(at);
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
}
