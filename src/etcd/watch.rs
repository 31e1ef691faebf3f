//! For how long a member has stood still: learners that do not catch up, and members that the manifest no longer names.
//!
//! One look cannot tell a learner that is stuck from one that is slow, nor a master that is about to leave from one that
//! never heard of it. So what was seen is remembered from look to look, under /run: a reboot forgets it, which only
//! makes quorate more patient. Pure: the time is an argument, the record goes in and comes out.

use super::Desired;
use super::change::{Fit, fit};
use super::cluster::{Listed, Role, View};
use crate::ident::NodeName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A learner that applied nothing for this long, while the leader has more for it, is given up by its own master, which
/// joins anew (M11). A snapshot of etcd's default limit of 2 GiB takes that long at 7 MB/s.
pub const REJOIN_AFTER: Duration = Duration::from_secs(5 * 60);
/// And by the others, should its own master not answer at all (M11).
pub const EVICT_AFTER: Duration = Duration::from_secs(15 * 60);
/// A master that works and is no longer named gets this long to leave by itself. One that has the manifest needs a few
/// seconds; one that does not will not leave at all.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(30);

/// What is remembered from look to look, by member id.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record(BTreeMap<u64, Sighting>);

/// A member as it was seen, and since when nothing has changed about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sighting {
    role: Role,
    /// How far it had applied the log, when it last said so.
    applied: Option<u64>,
    /// Seconds on the clock of this boot.
    since_s: u64,
}

/// What the record amounts to at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Watched {
    /// For how long each watched member has stood still.
    pub still: BTreeMap<u64, Duration>,
    /// How far the members that answered have applied the log.
    pub applied: BTreeMap<u64, u64>,
    /// Masters whose host answers, whether or not their member does.
    pub answering: BTreeSet<NodeName>,
}

impl Watched {
    /// Whether a member has stood still for at least `limit`.
    pub fn still_for(&self, member: u64, limit: Duration) -> bool {
        self.still.get(&member).is_some_and(|still| *still >= limit)
    }

    /// Whether a learner makes no headway although there is some to make, for at least `limit`.
    pub fn stuck_for(&self, view: &View, member: u64, limit: Duration) -> bool {
        let behind = match (self.applied.get(&view.leader), self.applied.get(&member)) {
            (Some(leader), Some(own)) => leader.saturating_sub(*own) > LAG_ENTRIES,
            // One that does not answer is not known to have caught up.
            (_, None) => true,
            (None, Some(_)) => false,
        };
        behind && self.still_for(member, limit)
    }
}

impl Record {
    /// The record after another look `now_s` seconds into this boot. Without a list behind a quorum read nothing is known,
    /// and nobody could have made headway: it begins anew.
    #[must_use]
    pub fn after(self, desired: &Desired, view: Option<&View>, applied: &BTreeMap<u64, u64>, now_s: u64) -> Self {
        let Some(view) = view else { return Self::default() };
        let watched =
            |listed: &&Listed| listed.role == Role::Learner || !matches!(fit(desired, listed), Fit::Master(_));
        let look = |listed: &Listed| {
            let before = self.0.get(&listed.id).filter(|before| before.role == listed.role && before.since_s <= now_s);
            // Silence is no progress, and answering again what was known is none either.
            let learnt = applied.get(&listed.id).copied().filter(|_| listed.role == Role::Learner);
            let now = learnt.or(before.and_then(|before| before.applied));
            let since_s = before.filter(|before| before.applied == now).map_or(now_s, |before| before.since_s);
            (listed.id, Sighting { role: listed.role, applied: now, since_s })
        };
        Self(view.members.iter().filter(watched).map(look).collect())
    }

    /// For how long each has stood still.
    pub fn still(&self, now_s: u64) -> BTreeMap<u64, Duration> {
        let since = |sighting: &Sighting| Duration::from_secs(now_s.saturating_sub(sighting.since_s));
        self.0.iter().map(|(member, sighting)| (*member, since(sighting))).collect()
    }
}

/// How far behind the leader a learner may be when its vote is asked for. etcd's own measure is 90 %, which on a long log
/// is far; a voter that has to catch up first is no help to the quorum.
pub const LAG_ENTRIES: u64 = 100;

#[cfg(test)]
mod tests;
