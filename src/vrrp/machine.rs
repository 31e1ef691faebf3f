//! The virtual router as a machine without I/O: events and the time go in, actions come out (RFC 9568 §6.4).
//!
//! ```text
//!                      +---------------+
//!           +--------->|               |<-------------+
//!           |          |  Initialize   |              |
//!           |   +------|               |----------+   |
//!           |   |      +---------------+          |   |
//!           |   V                                 V   |
//!   +---------------+                       +---------------+
//!   |               |---------------------->|               |
//!   |    Active     |                       |    Backup     |
//!   |               |<----------------------|               |
//!   +---------------+                       +---------------+
//! ```
//!
//! Call order: any `handle_…`, then [`Machine::poll_action`] until it returns nothing, then arm a timer for
//! [`Machine::next_timeout`]. One machine is one virtual router in all of its families: a dual-stack router advertises
//! in both, and an advertisement heard in either counts, so its addresses move together.
//!
//! It never sees a packet that failed a check (R13), never reads a clock, and is told of an action only that
//! the kernel refused the addresses.

mod active;
mod backup;
mod refusal;
mod words;

pub use active::lease;
pub use words::{Action, AddressesChanged, Heard, Obstacle, Preempt, Reason, Rules, Sources, State};

use super::health::Verdict;
use super::packet::{OWNER, RESIGNING};
use super::time::{Interval, Time};
use refusal::Refusal;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

/// A peer starts no sooner than this many intervals after the last advertisement; its skew comes on top (§6.1).
const SILENT_INTERVALS: u32 = 3;
/// What a Backup is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Wait {
    /// The Active to fall silent.
    Silence,
    /// Its own skew to pass after a resignation.
    Resignation,
}

/// When the addresses are announced next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Announcement {
    at: Time,
    /// How many of [`ANNOUNCE_AGAIN`] are done.
    repeated: usize,
}

/// State and what only that state has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Phase {
    Initialize,
    Backup {
        /// Active_Down_Timer.
        down: Time,
        /// From when it was counted.
        since: Time,
        wait: Wait,
        /// Active_Adver_Interval: the Active's, or our own before one was heard.
        interval: Interval,
        /// The first advertisement that we could preempt, with a preempt delay (F20).
        better_since: Option<Time>,
    },
    Active {
        /// Adver_Timer.
        advert: Time,
        /// When the last one was sent, and what interval it carried.
        sent: Time,
        carried: Interval,
        renewed: Time,
        announcement: Announcement,
        refusal: Option<Refusal>,
    },
}

/// One virtual router.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Machine {
    rules: Rules,
    health: Verdict,
    sources: Sources,
    phase: Phase,
    active: Option<IpAddr>,
    /// Until when it does not start, having resigned over refused addresses.
    held_off: Option<Time>,
    actions: VecDeque<Action>,
}

impl Machine {
    /// A machine in Initialize; the first usable link starts it (§6.4.1).
    pub fn new(rules: Rules) -> Self {
        // Room for the longest burst, so that the hot path does not allocate.
        let actions = VecDeque::with_capacity(16);
        let phase = Phase::Initialize;
        Self {
            rules,
            health: Verdict::Healthy,
            sources: Sources::default(),
            phase,
            active: None,
            held_off: None,
            actions,
        }
    }

    /// The state of RFC 9568 §6.4.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Initialize => State::Initialize,
            Phase::Backup { .. } => State::Backup,
            Phase::Active { .. } => State::Active,
        }
    }

    /// The priority it advertises, or would.
    pub fn priority(&self) -> u8 {
        match self.health {
            Verdict::Healthy => self.rules.priority,
            Verdict::Unhealthy => self.rules.unhealthy_priority,
        }
    }

    /// The address of the Active as known here: our own, or the sender of the last accepted advertisement.
    pub fn active(&self) -> Option<IpAddr> {
        self.active
    }

    /// When the next advertisement is due.
    pub fn advert_due(&self) -> Option<Time> {
        match self.phase {
            Phase::Active { advert, .. } => Some(advert),
            Phase::Initialize | Phase::Backup { .. } => None,
        }
    }

    /// Where it sends from.
    pub fn sources(&self) -> Sources {
        self.sources
    }

    /// The next thing to do; poll until there is none.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When [`Machine::handle_timeout`] is to be called if nothing else happens before.
    pub fn next_timeout(&self) -> Option<Time> {
        match self.phase {
            Phase::Initialize => None,
            Phase::Backup { down, .. } => Some(down),
            Phase::Active { advert, announcement, refusal, .. } => {
                let again = refusal.and_then(|refusal| refusal.again);
                [Some(advert), Some(announcement.at), again].into_iter().flatten().min()
            }
        }
    }

    /// The link can be used with these sources.
    pub fn handle_link(&mut self, sources: Sources, now: Time) {
        let before = std::mem::replace(&mut self.sources, sources);
        match self.phase {
            Phase::Initialize if self.priority() == OWNER && self.held_off(now) == now => {
                self.promote(Reason::Owner, now);
            }
            Phase::Initialize => self.watch(Reason::Started, now, self.rules.interval),
            // A host that comes back to its switch may meet stale neighbours; so may a changed source.
            Phase::Active { .. } if before != sources => {
                self.active = sources.of(self.rules.lead);
                self.announce_within(Duration::ZERO, now);
            }
            Phase::Active { .. } | Phase::Backup { .. } => {}
        }
    }

    /// The link cannot be used any more, or not yet.
    pub fn handle_obstacle(&mut self, obstacle: Obstacle) {
        self.leave(Reason::Obstacle(obstacle));
    }

    /// Ordered stop: an Active resigns, a Backup says nothing (§6.4.2, §6.4.3).
    pub fn stop(&mut self) {
        if self.state() == State::Active {
            self.actions.push_back(Action::SendAdvert { priority: RESIGNING });
        }
        self.leave(Reason::Stopped);
    }

    /// The addresses vanished from the link behind our back (B5).
    pub fn handle_vip_lost(&mut self, now: Time) {
        if let Phase::Active { renewed, .. } = &mut self.phase {
            *renewed = now;
            self.actions.push_back(Action::InstallVip);
            self.announce_within(Duration::ZERO, now);
        }
    }

    /// Health changed: the next advertisement carries the new priority (T11).
    pub fn handle_health(&mut self, health: Verdict) {
        if self.health != health {
            self.health = health;
            self.recompute_down_timer();
        }
    }

    /// New rules, in place: no timer stops, no state changes (B4). `addresses_changed` says whether the driver has
    /// other addresses for this router now.
    pub fn reconfigure(&mut self, rules: Rules, addresses_changed: AddressesChanged, now: Time) {
        let advertised = |rules: &Rules| (rules.priority, rules.unhealthy_priority, rules.interval);
        let news = advertised(&rules) != advertised(&self.rules) || addresses_changed == AddressesChanged::Yes;
        self.rules = rules;
        self.recompute_down_timer();
        if let (Phase::Active { renewed, .. }, true) = (&mut self.phase, news) {
            if addresses_changed == AddressesChanged::Yes {
                *renewed = now;
                self.actions.push_back(Action::InstallVip);
                self.announce_within(Duration::ZERO, now);
            }
            // At once and not when the old timer fires: peers count by the interval they were told last.
            self.advertise(now, now);
        }
    }

    /// An advertisement that passed every check.
    pub fn handle_packet(&mut self, heard: Heard, now: Time) {
        self.demote_if_late(now);
        match self.phase {
            // R20
            Phase::Initialize => {}
            Phase::Backup { .. } => self.heard_as_backup(heard, now),
            Phase::Active { .. } => self.heard_as_active(heard, now),
        }
    }

    /// A timer fired. Drain what was received before: an advertisement that is waiting proves that the Active is alive.
    pub fn handle_timeout(&mut self, now: Time) {
        self.demote_if_late(now);
        match self.phase {
            Phase::Backup { down, wait, interval, .. } if down <= now => {
                if now.since(down) > interval.span() {
                    // We slept through more than an interval, and so perhaps through an advertisement: listen first.
                    self.rearm(interval.span() + self.skew(interval), Wait::Silence, now);
                } else {
                    let why = match wait {
                        Wait::Silence => Reason::Silence,
                        Wait::Resignation => Reason::Resignation,
                    };
                    self.promote(why, now);
                }
            }
            Phase::Active { advert, announcement, .. } => {
                if advert <= now {
                    self.advertise(advert, now);
                    if now.since(advert) > self.rules.interval.span() {
                        // Late, but not so late that a peer took over: tell the neighbours again (B3).
                        self.announce_within(Duration::ZERO, now);
                    }
                }
                if announcement.at <= now {
                    self.announce(announcement.repeated, now);
                }
                self.ask_again(now);
            }
            Phase::Initialize | Phase::Backup { .. } => {}
        }
    }

    /// Active to Backup when the peers may have taken over while we slept (B3): before anything is sent.
    fn demote_if_late(&mut self, now: Time) {
        let Phase::Active { sent, carried, .. } = self.phase else { return };
        if now.since(sent) <= carried.span() * SILENT_INTERVALS {
            return;
        }
        self.actions.push_back(Action::RemoveVip);
        self.watch(Reason::LateWake, now, self.rules.interval);
        // One interval tells whether somebody else is Active; nobody needs a whole Active_Down_Interval of outage.
        self.rearm(self.rules.interval.span() + self.skew(self.rules.interval), Wait::Silence, now);
    }

    /// F6. The advertisement first: it is what ends a race between two promotions (F19).
    fn promote(&mut self, why: Reason, now: Time) {
        let from = self.state();
        let interval = self.rules.interval;
        let announcement = Announcement { at: now, repeated: 0 };
        self.phase = Phase::Active {
            advert: now.after(interval.span()),
            sent: now,
            carried: interval,
            renewed: now,
            announcement,
            refusal: None,
        };
        self.active = self.sources.of(self.rules.lead);
        self.send(now);
        self.actions.push_back(Action::InstallVip);
        self.announce(0, now);
        self.actions.push_back(Action::Moved { from, to: State::Active, why });
    }

    /// To Backup, counting from `now` with the Active's `interval`.
    fn watch(&mut self, why: Reason, now: Time, interval: Interval) {
        let from = self.state();
        let down = self.held_off(now.after(self.down_interval(interval)));
        self.phase = Phase::Backup { down, since: now, wait: Wait::Silence, interval, better_since: None };
        self.active = None;
        self.actions.push_back(Action::Moved { from, to: State::Backup, why });
    }

    /// To Initialize from wherever it is.
    fn leave(&mut self, why: Reason) {
        let from = self.state();
        if from == State::Initialize {
            return;
        }
        if from == State::Active {
            self.actions.push_back(Action::RemoveVip);
        }
        self.phase = Phase::Initialize;
        self.active = None;
        self.actions.push_back(Action::Moved { from, to: State::Initialize, why });
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
