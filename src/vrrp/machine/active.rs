//! The machine as Active (RFC 9568 §6.4.3): advertising, announcing, and meeting another Active.

use super::words::{Action, Heard, Reason};
use super::{Announcement, Machine, Phase, SILENT_INTERVALS};
use crate::vrrp::packet::{Family, OWNER, RESIGNING, Remark, Version};
use crate::vrrp::time::{Interval, Time};
use std::time::Duration;

/// After promotion the addresses are announced at once and again after these spans: a switch may have lost the first.
const ANNOUNCE_AGAIN: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// And then this often, for whoever missed them all or was restored from a snapshot.
const ANNOUNCE_REFRESH: Duration = Duration::from_secs(30);

impl Machine {
    /// §6.4.3.
    pub(super) fn heard_as_active(&mut self, heard: Heard, now: Time) {
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

    /// F11: sends, and arms the timer one interval after it was due, so that lateness does not add up.
    pub(super) fn advertise(&mut self, due: Time, now: Time) {
        self.send(now);
        let span = self.rules.interval.span();
        if let Phase::Active { advert, .. } = &mut self.phase {
            let next = due.after(span);
            *advert = if next > now { next } else { now.after(span) };
        }
    }

    /// Sends one advertisement and what hangs on it: the lease, and the lifetime of the addresses when it is due.
    pub(super) fn send(&mut self, now: Time) {
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

    pub(super) fn announce(&mut self, repeated: usize, now: Time) {
        let next = now.after(ANNOUNCE_AGAIN.get(repeated).copied().unwrap_or(ANNOUNCE_REFRESH));
        if let Phase::Active { announcement, .. } = &mut self.phase {
            *announcement = Announcement { at: next, repeated: repeated + 1 };
            self.actions.push_back(Action::Announce);
        }
    }

    /// Announces within `span` and then again as after a promotion; an earlier announcement stays where it is.
    pub(super) fn announce_within(&mut self, span: Duration, now: Time) {
        if span.is_zero() {
            self.announce(0, now);
        } else if let Phase::Active { announcement, .. } = &mut self.phase {
            *announcement = Announcement { at: announcement.at.min(now.after(span)), repeated: 0 };
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
