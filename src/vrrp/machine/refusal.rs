//! An Active whose kernel refuses the addresses (B5): it asks again for a moment, then leaves them to a master whose kernel takes them.

use super::words::{Action, Reason};
use super::{Machine, Phase};
use crate::vrrp::packet::RESIGNING;
use crate::vrrp::time::Time;
use std::time::Duration;

/// How soon the kernel is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);
/// How long an Active puts up with it: an address that vanished is back or resigned within 100 ms, the way to the kernel included.
const BEAR_WITH: Duration = Duration::from_millis(60);
/// How long a master that resigned over it does not start again, whatever it hears or does not hear. Where it is the preferred
/// one and its kernel still refuses, that is how seldom the cluster pays for another try; where it is the last one, how soon it
/// tries by itself.
const HOLD_OFF: Duration = Duration::from_secs(30);

/// The kernel refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Refusal {
    /// Since when.
    since: Time,
    /// When it is asked again; nothing while its answer is awaited.
    pub(super) again: Option<Time>,
}

impl Machine {
    /// The kernel refused to put the addresses on the link, or to keep them there.
    pub fn handle_vip_refused(&mut self, now: Time) {
        let Phase::Active { refusal, .. } = &mut self.phase else { return };
        let since = refusal.map_or(now, |refusal| refusal.since);
        if now.since(since) < BEAR_WITH {
            *refusal = Some(Refusal { since, again: Some(now.after(ASK_AGAIN)) });
            return;
        }
        self.held_off = Some(now.after(HOLD_OFF));
        self.actions.extend([Action::SendAdvert { priority: RESIGNING }, Action::RemoveVip]);
        self.watch(Reason::VipRefused, now, self.rules.interval);
    }

    /// The kernel took the addresses after it had refused them: the neighbours have not been told where they are.
    pub fn handle_vip_accepted(&mut self, now: Time) {
        if let Phase::Active { refusal, .. } = &mut self.phase
            && refusal.take().is_some()
        {
            self.announce_within(Duration::ZERO, now);
        }
    }

    /// Asks the kernel again if it is time.
    pub(super) fn ask_again(&mut self, now: Time) {
        if let Phase::Active { refusal: Some(refusal), .. } = &mut self.phase
            && refusal.again.is_some_and(|again| again <= now)
        {
            refusal.again = None;
            self.actions.push_back(Action::InstallVip);
        }
    }

    /// `moment`, but not before the hold-off ends.
    pub(super) fn held_off(&self, moment: Time) -> Time {
        self.held_off.map_or(moment, |end| end.max(moment))
    }
}
