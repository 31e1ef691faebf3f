//! Whether the member list may be changed, and by whom (M1 to M7 of spec/etcd.md).
//!
//! Pure. The planner asks before it plans a change; the driver asks again, on a fresh list, with the lock held. What
//! is projected here is refined by `quorum::membership`, which knows the counts; this file knows which member is
//! meant, whose it is, and what its health rests on.

use super::cluster::{Condition, Listed, Role, View};
use super::{Desired, blocked, peer_url};
use crate::ident::NodeName;
use crate::plan::{Blocked, Hold};
use crate::quorum::membership::{Change, Members, Safety, judge_change};
use crate::quorum::policy::Acknowledgements;
use std::collections::BTreeMap;

/// How an entry of the member list relates to the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It is this master's.
    Master(NodeName),
    /// It is no master's of the manifest.
    Foreign,
    /// Its name says one master and its URL another (M5): nothing is done until somebody has looked.
    Discord {
        /// The contradiction.
        why: String,
    },
}

/// Finds whose entry it is. The URL decides; a name may be missing (never started) and may not contradict.
pub fn fit(desired: &Desired, listed: &Listed) -> Fit {
    let at = |address| listed.peer_urls == [peer_url(address)];
    match desired.members.iter().find(|(_, address)| at(**address)) {
        Some((name, _)) if listed.name.is_empty() || listed.name == name.as_str() => Fit::Master(name.clone()),
        Some((name, _)) => Fit::Discord {
            why: format!("member {:x} calls itself '{}' at the address of {name}", listed.id, listed.name),
        },
        // A master that moved to another address is another member to etcd: the old entry is nobody's.
        None => Fit::Foreign,
    }
}

/// This master's entry.
pub fn own<'a>(desired: &Desired, view: &'a View) -> Option<&'a Listed> {
    view.members.iter().find(|listed| fit(desired, listed) == Fit::Master(desired.me.clone()))
}

/// What the member list asks of this master beyond its own membership.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// This master removes that member, which is in no manifest.
    Remove(Listed),
    /// Something is in the way, or another master's turn.
    Blocked(Blocked),
}

/// Which member that is not in the manifest is removed next, one at a time, by the lowest-named healthy master.
pub fn due(desired: &Desired, view: &View, conditions: &BTreeMap<u64, Condition>) -> Due {
    let mut foreign = Vec::new();
    for listed in &view.members {
        match fit(desired, listed) {
            Fit::Master(_) => {}
            Fit::Foreign => foreign.push(listed),
            Fit::Discord { why } => {
                let unblock = "correct the manifest, or remove that member by hand";
                return Due::Blocked(blocked(Hold::Refused, MEMBERS, why, unblock));
            }
        }
    }
    // Learners first: they cost nothing, and one that nobody owns keeps every master from joining (fault 8). Then
    // those that do not answer: removing a dead voter never lowers what the cluster can lose.
    foreign.sort_by_key(|listed| (listed.role == Role::Voter, conditions.get(&listed.id) == Some(&HEALTHY), listed.id));
    let Some(target) = foreign.first() else { return Due::Nothing };
    let healthy = |name: &NodeName| {
        view.members.iter().any(|listed| {
            fit(desired, listed) == Fit::Master(name.clone())
                && listed.role == Role::Voter
                && conditions.get(&listed.id) == Some(&HEALTHY)
        })
    };
    match desired.members.keys().find(|name| healthy(name)) {
        Some(name) if *name == desired.me => match removal(desired, view, conditions, target) {
            Ok(()) => Due::Remove((*target).clone()),
            Err(blocked) => Due::Blocked(blocked),
        },
        Some(name) => Due::Blocked(blocked(
            Hold::Waiting,
            MEMBERS,
            format!("member {} is not in the manifest", label(target)),
            format!("{name} removing it"),
        )),
        None => Due::Nothing,
    }
}

/// Whether `target` may be removed now: by its own master whose data is lost, or because no manifest names it.
///
/// # Errors
/// What is in the way.
pub fn removal(
    desired: &Desired,
    view: &View,
    conditions: &BTreeMap<u64, Condition>,
    target: &Listed,
) -> Result<(), Blocked> {
    newest(desired, view)?;
    let what = format!("remove member {}", label(target));
    let wait = |why: String, until: &str| blocked(Hold::Waiting, &what, why, until);
    match fit(desired, target) {
        Fit::Master(name) if name != desired.me => {
            let why = format!("it is {name}'s, and a listed master is never removed by another one");
            return Err(blocked(Hold::Refused, &what, why, "a manifest that replaces it"));
        }
        Fit::Discord { why } => return Err(blocked(Hold::Refused, &what, why, "correct the manifest")),
        Fit::Master(_) | Fit::Foreign => {}
    }
    if target.role == Role::Learner {
        return judge(view, conditions, Change::RemoveLearner, &what);
    }
    // M4: somebody else of the manifest being down is no moment to remove anybody.
    for listed in view.members.iter().filter(|listed| listed.id != target.id && listed.role == Role::Voter) {
        if let (Fit::Master(name), Condition::Unhealthy { why }) = (fit(desired, listed), condition(conditions, listed))
        {
            return Err(wait(
                format!("{name} is not healthy: {why}"),
                "every other master of the manifest being healthy",
            ));
        }
    }
    // Fault 16: one that the manifest names and that does not vote yet. An orphan is no reason to wait.
    let joining = |listed: &&Listed| listed.role == Role::Learner && matches!(fit(desired, listed), Fit::Master(_));
    if let Some(learner) = view.members.iter().find(joining) {
        return Err(wait(format!("{} is still learning", label(learner)), "that learner becoming a voter"));
    }
    judge(view, conditions, Change::Remove { healthy: conditions.get(&target.id) == Some(&HEALTHY) }, &what)
}

/// Whether this master may be added as a learner now.
///
/// # Errors
/// What is in the way.
pub fn addition(desired: &Desired, view: &View, conditions: &BTreeMap<u64, Condition>) -> Result<(), Blocked> {
    newest(desired, view)?;
    let change = if view.recovered.is_some() { Change::GrowBack } else { Change::AddLearner };
    judge(view, conditions, change, "join the cluster")
}

/// A master that has not seen the newest manifest would undo what the others do by it.
fn newest(desired: &Desired, view: &View) -> Result<(), Blocked> {
    match view.generation {
        Some(newest) if newest > desired.generation => Err(blocked(
            Hold::Waiting,
            MEMBERS,
            format!("generation {newest} has changed the members already, this master runs {}", desired.generation),
            format!("generation {newest} being dropped here"),
        )),
        _ => Ok(()),
    }
}

fn judge(view: &View, conditions: &BTreeMap<u64, Condition>, change: Change, what: &str) -> Result<(), Blocked> {
    let voters = || view.members.iter().filter(|listed| listed.role == Role::Voter);
    let members = Members {
        voters: voters().count(),
        healthy: voters().filter(|listed| conditions.get(&listed.id) == Some(&HEALTHY)).count(),
        learners: view.members.len() - voters().count(),
    };
    match judge_change(members, change, &Acknowledgements::default()) {
        Safety::Safe => Ok(()),
        Safety::NotNow { why, until } => Err(blocked(Hold::Waiting, what, why, until)),
        Safety::Never { why, instead } => Err(blocked(Hold::Refused, what, why, instead)),
    }
}

/// The condition of a listed member; one that was not asked is not known to be healthy.
fn condition(conditions: &BTreeMap<u64, Condition>, listed: &Listed) -> Condition {
    conditions.get(&listed.id).cloned().unwrap_or(Condition::Unhealthy { why: "not asked".into() })
}

/// How an entry is shown: its name, or its URL as long as it has none.
pub fn label(listed: &Listed) -> String {
    let name = if listed.name.is_empty() { listed.peer_urls.join(",") } else { listed.name.clone() };
    format!("{:x} ({name})", listed.id)
}

const HEALTHY: Condition = Condition::Healthy;
const MEMBERS: &str = "members as in the manifest";

#[cfg(test)]
mod tests;
