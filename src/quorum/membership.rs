//! Is this change safe now? For the running member list of etcd, and for the step from one manifest to the next.
//!
//! [`judge_change`] is rule M3 of the etcd rules: it projects the member list after the change and compares what may
//! be lost then with what may be lost now. It knows counts only; *which* member, and whether it is ours to touch, is
//! the etcd planner's question. [`judge_transition`] compares the masters of the accepted manifest with those of a new
//! one and refuses what could not be walked one member at a time. Neither reads a clock or talks to anybody.

use super::policy::Acknowledgements;
use super::{quorum, tolerance};
use crate::ident::{Generation, NodeName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The member list as a fresh quorum read found it. What could not be learned is not healthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Members {
    /// Members with a vote.
    pub voters: usize,
    /// Voters that answered, agree on the list and have no alarm.
    pub healthy: usize,
    /// Members without a vote yet.
    pub learners: usize,
}

/// One change to the member list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Change {
    /// Add a member without a vote.
    AddLearner,
    /// The same where a signed recovery left a single voter of a larger cluster: the one way from one to two, because one is
    /// no better than two there and every master of the manifest is to come back.
    GrowBack,
    /// Give the learner, in sync by the caller's own measure, its vote.
    Promote,
    /// Remove a voter.
    Remove {
        /// Whether it is among the healthy ones.
        healthy: bool,
    },
    /// Remove a member without a vote.
    RemoveLearner,
}

/// Whether a change may be made now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Safety {
    /// It may.
    Safe,
    /// Not now, perhaps later without anybody's doing.
    NotNow {
        /// The fact in the way.
        why: String,
        /// What has to change first.
        until: String,
    },
    /// Not as long as the cluster looks like this.
    Never {
        /// What it would cost.
        why: String,
        /// What to do instead.
        instead: String,
    },
}

/// Judges one change to the running member list (M1, M3, M7 of the etcd rules).
pub fn judge_change(members: Members, change: Change, acknowledged: &Acknowledgements) -> Safety {
    let Members { voters, healthy, learners } = members;
    let majority = quorum(voters);
    let not_now = |why: String, until: &str| Safety::NotNow { why, until: until.to_owned() };
    if healthy < majority {
        return not_now(
            format!("{healthy} of {voters} voters are healthy, {majority} have to agree to any change"),
            "a majority of the voters being healthy again",
        );
    }
    match change {
        Change::AddLearner | Change::Promote if voters < 2 => Safety::Never {
            why: "with two voters either loss stops the cluster, and a failed step from one to two has no way back"
                .into(),
            instead: "create a new cluster with 3 masters and move the data".into(),
        },
        Change::AddLearner | Change::GrowBack if learners > 0 => {
            not_now("another member is still learning".into(), "that learner being promoted or removed")
        }
        // etcd itself refuses to add beside a dead voter (E8): the dead one goes first, so that the cluster is never
        // asked to grow while it can lose no more.
        Change::AddLearner | Change::GrowBack if healthy < voters => not_now(
            format!("{} of {voters} voters are not healthy", voters - healthy),
            "every voter being healthy, or the dead one being replaced in the manifest and removed",
        ),
        Change::Promote if learners == 0 => not_now("no member is learning".into(), "a learner in sync"),
        Change::AddLearner | Change::GrowBack | Change::Promote | Change::RemoveLearner => Safety::Safe,
        Change::Remove { .. } if voters < 2 => Safety::Never {
            why: "it is the last voter".into(),
            instead: "stop the cluster instead of removing its last member".into(),
        },
        Change::Remove { .. } if voters == 2 && !acknowledged.single_master_remains => Safety::Never {
            why: "removing one of 2 voters leaves no fault tolerance and no way to grow again".into(),
            instead: "add its replacement first".into(),
        },
        Change::Remove { healthy: removed_is_healthy } => {
            let left = voters - 1;
            let healthy_left = healthy - usize::from(removed_is_healthy);
            if healthy_left < quorum(left) {
                return not_now(
                    format!("{healthy_left} healthy voters would be left of {left}, {} have to agree", quorum(left)),
                    "the unhealthy voters being healthy again, or removed before this one",
                );
            }
            Safety::Safe
        }
    }
}

/// A master as a manifest lists it, as far as the member list is concerned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seat {
    /// Member name.
    pub name: NodeName,
    /// The address in its peer URL.
    pub address: IpAddr,
}

/// What one manifest changes in the list of masters of the manifest before it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// Listed now and not before.
    pub added: Vec<NodeName>,
    /// Listed before and not now.
    pub removed: Vec<NodeName>,
    /// Listed under the same name with another address: to etcd, another member.
    pub moved: Vec<NodeName>,
}

impl Transition {
    /// What changes from `before` to `after`, in the order of names.
    pub fn between(before: &[Seat], after: &[Seat]) -> Self {
        let by_name = |seats: &[Seat]| -> BTreeMap<NodeName, IpAddr> {
            seats.iter().map(|seat| (seat.name.clone(), seat.address)).collect()
        };
        let (before, after) = (by_name(before), by_name(after));
        let absent_from = |from: &BTreeMap<NodeName, IpAddr>, other: &BTreeMap<NodeName, IpAddr>| {
            from.keys().filter(|name| !other.contains_key(*name)).cloned().collect()
        };
        Self {
            added: absent_from(&after, &before),
            removed: absent_from(&before, &after),
            moved: before
                .iter()
                .filter(|(name, address)| after.get(*name).is_some_and(|now| now != *address))
                .map(|(name, _)| name.clone())
                .collect(),
        }
    }

    /// Nothing changes for the member list.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.moved.is_empty()
    }

    /// How many generations this takes, one replacement or one odd step (3 to 5, 5 to 3) each.
    pub fn stages(&self) -> usize {
        let replaced = self.added.len().min(self.removed.len()) + self.moved.len();
        let resized = self.added.len().abs_diff(self.removed.len());
        replaced + resized.div_ceil(2)
    }
}

/// Whether a new list of masters may follow the accepted one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Succession {
    /// It may; the reconcilers walk it one member at a time.
    Allowed,
    /// It may not.
    Refused {
        /// What it would cost.
        why: String,
        /// What to do instead.
        instead: String,
    },
}

/// Judges the step from the accepted list of masters to a new one.
///
/// A host that was away for some generations sees their changes at once, so the number of stages is held against the
/// number of generations that passed: one stage each.
pub fn judge_transition(
    before: (Generation, &[Seat]),
    after: (Generation, &[Seat]),
    acknowledged: &Acknowledgements,
) -> Succession {
    let refused = |why: String, instead: String| Succession::Refused { why, instead };
    let (from, to) = (before.1.len(), after.1.len());
    let transition = Transition::between(before.1, after.1);
    if from == 1 && to > 1 {
        return refused(
            "a cluster created with a single master is never grown: on the way it would have two voters, and losing \
             either stops it with no way back"
                .into(),
            format!("create a new cluster (new clusterId) with {to} masters and move the data"),
        );
    }
    if to == 1 && from > 1 && !acknowledged.single_master_remains {
        return refused(
            format!("going from {from} masters to 1 gives up all fault tolerance and can never be undone"),
            "keep 3 masters, or write 'acknowledge: { singleMasterRemains: true }' under 'spec'".into(),
        );
    }
    let passed = usize::try_from(after.0.0.saturating_sub(before.0.0)).unwrap_or(usize::MAX);
    let stages = transition.stages();
    if stages > passed {
        return refused(
            format!(
                "{} at once: while they change, the cluster of {from} could not lose {} more",
                in_words(&transition),
                if tolerance(from) <= 1 { "one" } else { "two" }
            ),
            format!(
                "make it {stages} manifests, one generation each, with one replacement, or one step between 3 and 5 \
                 masters, in each"
            ),
        );
    }
    Succession::Allowed
}

/// For example `'m4' and 'm5' are added, 'm1' is removed`.
fn in_words(transition: &Transition) -> String {
    let part = |names: &[NodeName], what: &str| match names {
        [] => None,
        [one] => Some(format!("'{one}' is {what}")),
        [most @ .., last] => {
            let most: Vec<String> = most.iter().map(|name| format!("'{name}'")).collect();
            Some(format!("{} and '{last}' are {what}", most.join(", ")))
        }
    };
    let parts = [
        part(&transition.added, "added"),
        part(&transition.removed, "removed"),
        part(&transition.moved, "moved to another address"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
