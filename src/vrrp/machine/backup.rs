//! The machine as Backup (RFC 9568 §6.4.2): whom it heeds, whom it preempts, and how long it waits.

use super::words::{Action, Heard, Preempt};
use super::{Machine, Phase, SILENT_INTERVALS, Wait};
use crate::vrrp::packet::{Family, OWNER, RESIGNING, Remark, Version};
use crate::vrrp::time::{Interval, Time};
use std::net::IpAddr;
use std::time::Duration;

impl Machine {
    /// §6.4.2.
    pub(super) fn heard_as_backup(&mut self, heard: Heard, now: Time) {
        let Phase::Backup { interval, better_since, .. } = &mut self.phase else { return };
        if heard.priority == RESIGNING {
            // F7. A former Active that died frozen is resigned for when its successor is Active already: heeding that would
            // start a third one over a successor that happens not to answer at once.
            let is_another =
                |active: &IpAddr| Family::of(*active) == Family::of(heard.source) && *active != heard.source;
            if self.active.as_ref().is_some_and(is_another) {
                return;
            }
            // The sender is leaving, so nobody is known as the Active.
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
    pub(super) fn preempts(&mut self, priority: u8, now: Time) -> bool {
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

    pub(super) fn rearm(&mut self, span: Duration, waiting: Wait, now: Time) {
        let end = self.held_off(now.after(span));
        if let Phase::Backup { down, since, wait, .. } = &mut self.phase {
            (*down, *since, *wait) = (end, now, waiting);
        }
    }

    /// Active_Down_Interval from the same moment with another priority or interval of our own.
    pub(super) fn recompute_down_timer(&mut self) {
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
    pub(super) fn down_interval(&self, interval: Interval) -> Duration {
        interval.span() * SILENT_INTERVALS + self.skew(interval)
    }

    /// Skew_Time (§6.1); VRRPv2 counts it in seconds whatever the interval (RFC 3768 §6.1).
    pub(super) fn skew(&self, interval: Interval) -> Duration {
        match self.rules.version {
            Version::V3 => interval.skew(self.priority()),
            Version::V2 => Interval::SECOND.skew(self.priority()),
        }
    }
}
