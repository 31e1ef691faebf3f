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
//! It never sees a packet that failed a check (R13), never reads a clock, and never asks whether an action worked.

use super::health::Verdict;
use super::packet::{Family, OWNER, RESIGNING, Remark, Version};
use super::time::{Interval, Time};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// After promotion the addresses are announced at once and again after these spans: a switch may have lost the first.
const ANNOUNCE_AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// And then this often, for whoever missed them all or was restored from a snapshot.
const ANNOUNCE_REFRESH: Duration = Duration::from_secs(30);
/// A peer starts no sooner than this many intervals after the last advertisement; its skew comes on top (§6.1).
const SILENT_INTERVALS: u32 = 3;

/// The three states of RFC 9568 §6.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not taking part: the link or the source address is missing.
    Initialize,
    /// Watching the Active.
    Backup,
    /// Holding the addresses.
    Active,
}

/// When a Backup takes over from an Active that works but advertises less than it has itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Preempt {
    /// Not at all, except from an unhealthy one ([`Rules::healthy_from`]). An owner always does (§6.1).
    Never,
    /// At once: Preempt_Mode of RFC 9568 §6.1.
    AtOnce,
    /// After it has been better for so long (F20).
    AfterMs(u32),
}

/// What the machine needs to know of its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The version spoken: VRRPv2 has its own skew and stays silent towards a lower priority.
    pub version: Version,
    /// Advertised priority while healthy, 1 to 255.
    pub priority: u8,
    /// Advertised priority while unhealthy.
    pub unhealthy_priority: u8,
    /// An Active that advertises less is unhealthy: a healthy Backup takes over even where preemption is off.
    pub healthy_from: u8,
    /// How often the Active advertises.
    pub interval: Interval,
    /// Whether a working Active is taken over from.
    pub preempt: Preempt,
    /// The family in which two Actives of one priority compare addresses; one, so that both come to one answer.
    pub lead: Family,
    /// How long an installed address stays without being renewed.
    pub lifetime: Duration,
}

/// The source addresses of the interface, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sources {
    /// Primary IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Link-local IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl Sources {
    /// The source for one family.
    pub fn of(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::from),
            Family::V6 => self.v6.map(IpAddr::from),
        }
    }
}

/// Whether the router can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Obstacle {
    /// There is no such link.
    LinkMissing,
    /// The link is down or has no carrier.
    LinkDown,
    /// The link has no IPv4 address to send from.
    NoIpv4Source,
    /// The link has no usable link-local IPv6 address to send from; duplicate detection may still be running.
    NoIpv6Source,
}

/// What was heard of another router: an advertisement that passed every check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heard {
    /// Its sender.
    pub source: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// Its interval.
    pub interval: Interval,
}

/// Why a machine changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The link and its source addresses are there (§6.4.1).
    Started,
    /// We own the addresses (§6.4.1).
    Owner,
    /// Nothing acceptable was heard for a whole Active_Down_Interval (§6.4.2).
    Silence,
    /// The Active resigned and our skew has passed (§6.4.2).
    Resignation,
    /// Another Active has a higher priority (§6.4.3).
    HigherPriority,
    /// Another Active has our priority and a greater address (§6.4.3).
    GreaterAddress,
    /// We woke up so late that a peer may have taken over.
    LateWake,
    /// The router cannot take part any more.
    Obstacle(Obstacle),
    /// Told to stop.
    Stopped,
}

impl Reason {
    /// For people, behind "because" or a comma.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Started => "the link and its addresses are there",
            Reason::Owner => "it owns the addresses",
            Reason::Silence => "nothing was heard for a whole down interval",
            Reason::Resignation => "the active master resigned",
            Reason::HigherPriority => "another master has a higher priority",
            Reason::GreaterAddress => "another master has the same priority and a greater address",
            Reason::LateWake => "it woke up so late that another one may have taken over",
            Reason::Obstacle(Obstacle::LinkMissing) => "the link is missing",
            Reason::Obstacle(Obstacle::LinkDown) => "the link is down",
            Reason::Obstacle(Obstacle::NoIpv4Source) => "the link has no IPv4 address",
            Reason::Obstacle(Obstacle::NoIpv6Source) => "the link has no usable link-local IPv6 address",
            Reason::Stopped => "it was told to stop",
        }
    }
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send one advertisement in every family.
    SendAdvert {
        /// 0 to resign.
        priority: u8,
    },
    /// The advertisement just sent allows answering for the addresses until then, and no longer.
    ExtendLease {
        /// Before any peer's Active_Down_Interval can have passed.
        until: Time,
    },
    /// Put the addresses on the link.
    InstallVip,
    /// Extend the lifetime of the addresses on the link.
    RenewVip,
    /// Take the addresses off the link and end the lease.
    RemoveVip,
    /// Gratuitous ARP and unsolicited neighbour advertisements.
    Announce,
    /// The state changed.
    Moved {
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why.
        why: Reason,
    },
    /// Something odd was heard and acted upon.
    Remark(Remark),
}

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
    actions: VecDeque<Action>,
}

impl Machine {
    /// A machine in Initialize; the first usable link starts it (§6.4.1).
    pub fn new(rules: Rules) -> Self {
        // Room for the longest burst, so that the hot path does not allocate.
        let actions = VecDeque::with_capacity(16);
        let phase = Phase::Initialize;
        Self { rules, health: Verdict::Healthy, sources: Sources::default(), phase, active: None, actions }
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
            Phase::Active { advert, announcement, .. } => Some(advert.min(announcement.at)),
        }
    }

    /// The link can be used with these sources.
    pub fn handle_link(&mut self, sources: Sources, now: Time) {
        let before = std::mem::replace(&mut self.sources, sources);
        match self.phase {
            Phase::Initialize if self.priority() == OWNER => {
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
            }
            Phase::Initialize | Phase::Backup { .. } => {}
        }
    }

    /// §6.4.2.
    fn heard_as_backup(&mut self, heard: Heard, now: Time) {
        let Phase::Backup { interval, better_since, .. } = &mut self.phase else { return };
        if heard.priority == RESIGNING {
            // F7. The sender is leaving, so nobody is known as the Active.
            let interval = *interval;
            *better_since = None;
            self.active = None;
            self.rearm(self.skew(interval), Wait::Resignation, now);
            return;
        }
        if self.preempts(heard.priority, now) {
            // F9: discarded, so that the timer runs out.
            self.active = Some(heard.source);
            return;
        }
        // F8, and F10: an equal priority is left alone whatever its address.
        let Phase::Backup { interval, .. } = &mut self.phase else { return };
        *interval = heard.interval;
        self.active = Some(heard.source);
        if heard.interval != self.rules.interval {
            self.actions.push_back(Action::Remark(Remark::Interval));
        }
        self.rearm(self.down_interval(heard.interval), Wait::Silence, now);
    }

    /// Whether an advertisement of `priority` is one to preempt, minding the delay (F20).
    fn preempts(&mut self, priority: u8, now: Time) -> bool {
        let own = self.priority();
        let Phase::Backup { better_since, .. } = &mut self.phase else { return false };
        if priority >= own {
            *better_since = None;
            return false;
        }
        if own == OWNER || (own >= self.rules.healthy_from && priority < self.rules.healthy_from) {
            return true;
        }
        match self.rules.preempt {
            Preempt::Never => false,
            Preempt::AtOnce => true,
            Preempt::AfterMs(delay) => {
                let since = *better_since.get_or_insert(now);
                now.since(since) >= Duration::from_millis(u64::from(delay))
            }
        }
    }

    /// §6.4.3.
    fn heard_as_active(&mut self, heard: Heard, now: Time) {
        let own = self.priority();
        if heard.priority == RESIGNING {
            // F12
            self.advertise(now, now);
            return;
        }
        let lead = Family::of(heard.source) == self.rules.lead;
        let source = self.sources.of(Family::of(heard.source));
        if heard.priority == OWNER && own == OWNER {
            self.actions.push_back(Action::Remark(Remark::RivalOwner));
        }
        // F13. Addresses of one family compare as unsigned integers in network order.
        let why = match heard.priority.cmp(&own) {
            std::cmp::Ordering::Greater => Some(Reason::HigherPriority),
            std::cmp::Ordering::Equal if lead && source.is_some_and(|own| heard.source > own) => {
                Some(Reason::GreaterAddress)
            }
            std::cmp::Ordering::Equal | std::cmp::Ordering::Less => None,
        };
        if let Some(why) = why {
            self.actions.push_back(Action::RemoveVip);
            self.watch(why, now, heard.interval);
            self.active = Some(heard.source);
            return;
        }
        if source == Some(heard.source) {
            // F15
            self.actions.push_back(Action::Remark(Remark::DuplicateSource));
            return;
        }
        // The other family of an equal router is decided in the lead family.
        if heard.priority == own && !lead {
            return;
        }
        // F14: answer at once, keep the timer. VRRPv2 knows no such answer (RFC 3768 §6.4.3).
        if self.rules.version == Version::V3 {
            let Phase::Active { advert, .. } = self.phase else { return };
            self.send(now);
            if let Phase::Active { advert: timer, .. } = &mut self.phase {
                *timer = advert;
            }
        }
        // Neighbours may have learned the loser's MAC: announce once it has let go, within one interval (B8).
        self.announce_within(self.rules.interval.span().min(ANNOUNCE_AGAIN[0]), now);
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
        let down = now.after(self.down_interval(interval));
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

    /// F11: sends, and arms the timer one interval after it was due, so that lateness does not add up.
    fn advertise(&mut self, due: Time, now: Time) {
        self.send(now);
        let span = self.rules.interval.span();
        if let Phase::Active { advert, .. } = &mut self.phase {
            let next = due.after(span);
            *advert = if next > now { next } else { now.after(span) };
        }
    }

    /// Sends one advertisement and what hangs on it: the lease, and the lifetime of the addresses when it is due.
    fn send(&mut self, now: Time) {
        let priority = self.priority();
        let interval = self.rules.interval;
        let Phase::Active { sent, carried, renewed, .. } = &mut self.phase else { return };
        (*sent, *carried) = (now, interval);
        self.actions.push_back(Action::SendAdvert { priority });
        self.actions.push_back(Action::ExtendLease { until: now.after(lease(interval)) });
        if now.since(*renewed) >= self.rules.lifetime / 3 {
            *renewed = now;
            self.actions.push_back(Action::RenewVip);
        }
    }

    fn announce(&mut self, repeated: usize, now: Time) {
        let next = now.after(ANNOUNCE_AGAIN.get(repeated).copied().unwrap_or(ANNOUNCE_REFRESH));
        if let Phase::Active { announcement, .. } = &mut self.phase {
            *announcement = Announcement { at: next, repeated: repeated + 1 };
            self.actions.push_back(Action::Announce);
        }
    }

    /// Announces within `span` and then again as after a promotion; an earlier announcement stays where it is.
    fn announce_within(&mut self, span: Duration, now: Time) {
        if span.is_zero() {
            self.announce(0, now);
        } else if let Phase::Active { announcement, .. } = &mut self.phase {
            *announcement = Announcement { at: announcement.at.min(now.after(span)), repeated: 0 };
        }
    }

    fn rearm(&mut self, span: Duration, waiting: Wait, now: Time) {
        if let Phase::Backup { down, since, wait, .. } = &mut self.phase {
            (*down, *since, *wait) = (now.after(span), now, waiting);
        }
    }

    /// Active_Down_Interval from the same moment with another priority or interval of our own.
    fn recompute_down_timer(&mut self) {
        if let Phase::Backup { since, wait, interval, .. } = self.phase {
            let interval = if self.active.is_none() { self.rules.interval } else { interval };
            let span = match wait {
                Wait::Silence => self.down_interval(interval),
                Wait::Resignation => self.skew(interval),
            };
            self.rearm(span, wait, since);
        }
    }

    /// Active_Down_Interval (§6.1).
    fn down_interval(&self, interval: Interval) -> Duration {
        interval.span() * SILENT_INTERVALS + self.skew(interval)
    }

    /// Skew_Time (§6.1); VRRPv2 counts it in seconds whatever the interval (RFC 3768 §6.1).
    fn skew(&self, interval: Interval) -> Duration {
        match self.rules.version {
            Version::V3 => interval.skew(self.priority()),
            Version::V2 => Interval::SECOND.skew(self.priority()),
        }
    }
}

/// How long one advertisement allows answering for the addresses: three intervals, which no peer's
/// Active_Down_Interval undercuts, less a quarter of one for the way to the kernel, and less at least 5 ms because kernel
/// timeouts are as coarse as its tick (4 ms at 250 Hz).
pub fn lease(interval: Interval) -> Duration {
    let margin = (interval.span() / 4).max(Duration::from_millis(5));
    interval.span() * SILENT_INTERVALS - margin
}

/// Whether the addresses of a router are other ones now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressesChanged {
    /// They are.
    Yes,
    /// They are as before.
    No,
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
