//! The start-up decision table (spec/etcd.md), and what a running member still lacks. First match wins.
//!
//! Pure: no clock, no I/O. A row that would have to guess is `Blocked`. What a step needs to be safe at the
//! moment of execution (lock, fresh list) is the driver's; whether it is taken is decided here alone.

mod empty;
mod leave;

use super::alarm::{self, Alarm};
use super::change::{self, Due};
use super::cluster::{Role, View};
use super::genesis::{Held, Marker};
use super::highwater::{self, Fault};
use super::material::Material;
use super::recovery::{self, plan::Turn};
use super::service::{Start, environment, key_files};
use super::version::{self, Verdict};
use super::wal::damage::Damage;
use super::watch::{EVICT_AFTER, REJOIN_AFTER};
use super::{Action, DataDirectory, Desired, Local, LocalStatus, Observed, blocked};
use crate::file::RenderedFile;
use crate::manifest::EtcdPhase;
use crate::plan::{Blocked, Hold, Part, Plan, Step};
use crate::systemd::{self, Unit, UnitAction, UnitState, Verb};

/// What is done next for this host's member, and what is not done and why.
pub fn plan(desired: &Desired, seen: &Observed) -> Plan<Action> {
    gated(seen, decide(desired, seen))
}

/// No change of the member list with a version that would do harm by it; any other known fault is named beside it.
fn gated(seen: &Observed, mut plan: Plan<Action>) -> Plan<Action> {
    let Some(at) = plan.steps.iter().position(|step| step.action.changes_members()) else { return plan };
    let name = |member: &u64| {
        let listed = seen.view.as_ref().and_then(|view| view.member(*member));
        listed.map_or_else(|| format!("{member:x}"), change::label)
    };
    for (member, version) in &seen.versions {
        match version::judge(version) {
            Verdict::Sound => {}
            Verdict::Named { why } => plan.steps[at].why.push_str(&format!("; note that {} {why}", name(member))),
            Verdict::Refused { why } => {
                let what = plan.steps[at].action.to_string();
                plan.steps.truncate(at);
                let why = format!("member {} {why}", name(member));
                plan.block(blocked(
                    Hold::Refused,
                    &what,
                    why,
                    "an image with a newer etcd, one master after the other",
                ));
                return plan;
            }
        }
    }
    plan
}

fn decide(desired: &Desired, seen: &Observed) -> Plan<Action> {
    let mut plan = Plan::default();
    let mut refuse = |why: String, unblock: &str| {
        plan.block(blocked(Hold::Refused, START, why, unblock));
        std::mem::take(&mut plan)
    };
    let material = match &seen.material {
        Ok(material) => material,
        Err(why) => return refuse(why.clone(), "drop this master's 'node.pem' ('quorate pki issue')"),
    };
    let marker = match &seen.held {
        Held::Unknown { why } => return refuse(why.clone(), "repair the storage of the marker; it is never guessed"),
        Held::Nothing => None,
        Held::Marker(marker) => Some(marker),
    };
    if let Some(marker) = marker
        && *marker.cluster() != desired.cluster
    {
        let why = format!("this master belongs to cluster {}, the manifest to {}", marker.cluster(), desired.cluster);
        return refuse(why, "drop the manifest of its own cluster, or archive its data and marker by hand");
    }
    let turn = recovery::plan::turn(desired, seen, marker);
    if let Turn::Instead(plan) = turn {
        return plan;
    }
    let mut plan = match &seen.data {
        DataDirectory::Unknown { why } => refuse(why.clone(), "mount the data partition and make it writable"),
        DataDirectory::Foreign { found } => refuse(
            format!("the data directory holds '{found}' without a write-ahead log"),
            "archive the data directory once it is clear whose data it is",
        ),
        DataDirectory::HasWal | DataDirectory::Absent | DataDirectory::Empty if desired.is_leaving() => {
            leave::leave(desired, seen, material, marker)
        }
        DataDirectory::HasWal => existing(desired, seen, material, marker),
        DataDirectory::Absent | DataDirectory::Empty => empty::empty(desired, seen, material, marker),
    };
    if let Turn::Beside(blocked) = turn {
        plan.block(blocked);
    }
    plan
}

/// Rows with a write-ahead log: it is started at once, without asking anybody, if it is this master's own.
fn existing(desired: &Desired, seen: &Observed, material: &Material, marker: Option<&Marker>) -> Plan<Action> {
    let mut plan = Plan::default();
    if let Some(ended) = ended(desired, seen, marker) {
        return put_aside(seen, &ended, marker, GONE);
    }
    if let Some(damage) = &seen.damage {
        return damaged(desired, seen, damage, marker);
    }
    if let Some(step) = stuck(seen, marker) {
        plan.steps.push(step);
        return plan;
    }
    let cluster = match marker {
        Some(Marker::Executed { .. } | Marker::Recovering { .. }) => None,
        Some(Marker::Joining { etcd, .. } | Marker::Formed { etcd, .. }) => Some(*etcd),
        None | Some(Marker::Prepared { .. } | Marker::Committed { .. } | Marker::Removed { .. }) => {
            let holds = marker.map_or("there is no marker for it".into(), |marker| format!("this master is {marker}"));
            plan.block(blocked(
                Hold::Refused,
                START,
                format!("the data directory holds data that quorate did not put there: {holds}"),
                "archive the data directory; this master then joins as a new member",
            ));
            return plan;
        }
    };
    if let (Some(own), EtcdPhase::Formed { cluster_id }) = (cluster, &desired.phase)
        && own != *cluster_id
    {
        let why = format!("this master's data is of etcd cluster {own:x}, the manifest names {cluster_id:x}");
        plan.block(blocked(Hold::Refused, START, why, "correct 'spec.etcd.formed.clusterId', or archive the data"));
        return plan;
    }
    match (unfit(desired, seen), &seen.view) {
        (None, _) => {}
        // Without this member the cluster has its quorum: it is a disk that was lost, and rejoins as such.
        (Some((Fault::WentBack { why }, ended)), Some(view)) if view.cluster == ended.etcd => {
            return put_aside(seen, &ended, marker, &why);
        }
        (Some((Fault::WentBack { why }, _)), _) => {
            plan.block(blocked(Hold::Waiting, START, why, WENT_BACK));
            return plan;
        }
        (Some((Fault::NotItsOwn { why }, _)), _) => {
            plan.block(blocked(Hold::Refused, START, why, "find out whose data it is, and put this master's own back"));
            return plan;
        }
    }
    render(&mut plan, seen, key_files(&seen.places, material), "the unit reads its own copies");
    let file = environment(&desired.me, desired.address, &seen.places, &Start::Existing);
    render(&mut plan, seen, [file], "an existing data directory needs no peers to start");

    // The start job ends only when the member has a leader. While the first formation is under way this run stays,
    // so that masters that have not heard of the commitment find somebody to ask.
    if let (Some(Marker::Executed { .. }), UnitState::Changing | UnitState::Active) = (marker, &seen.unit)
        && seen.view.is_none()
    {
        plan.step(Action::AwaitFormation, "the new cluster has no quorum yet");
        return plan;
    }
    plan.extend(
        systemd::plan::running(Unit::Etcd, &seen.unit, Part::Etcd, "an existing data directory is started at once")
            .map(Action::Unit),
    );
    if seen.unit == UnitState::Active {
        plan.extend(member(desired, seen, marker, cluster));
    }
    plan
}

/// What is wrong with the data of a member that is stopped, if anything, and its membership.
pub(in crate::etcd) fn unfit(desired: &Desired, seen: &Observed) -> Option<(Fault, Ended)> {
    let remembers = seen.view.as_ref().and_then(|view| view.marks.get(&desired.me));
    match &seen.held {
        Held::Marker(Marker::Formed { etcd, member, .. } | Marker::Joining { etcd, member, .. }) => {
            Some((highwater::judge(&seen.past, remembers, *etcd, *member)?, Ended { etcd: *etcd, member: *member }))
        }
        _ => None,
    }
}

/// A membership that is over: its cluster and member id.
pub(in crate::etcd) struct Ended {
    pub etcd: u64,
    pub member: u64,
}

/// Whether this master's membership has ended: its marker says so, or its cluster lists it no more, by a quorum read
/// (M9). A removed id is banned for ever, so its data serves nobody as a member again.
fn ended(desired: &Desired, seen: &Observed, marker: Option<&Marker>) -> Option<Ended> {
    let runs_another = |member: u64| matches!(&seen.local, Local::Answers(status) if status.member != member);
    let listed_no_more = |etcd: u64, member: u64| {
        !runs_another(member)
            && seen.view.as_ref().is_some_and(|view| view.cluster == etcd && view.member(member).is_none())
    };
    match marker? {
        Marker::Removed { etcd, member, .. } => Some(Ended { etcd: *etcd, member: *member }),
        Marker::Joining { etcd, member, .. } | Marker::Formed { etcd, member, .. }
            if listed_no_more(*etcd, *member) =>
        {
            Some(Ended { etcd: *etcd, member: *member })
        }
        // It was removed before it could note its id; the cluster knows the genesis that it came from.
        Marker::Executed { round, .. } => seen
            .view
            .as_ref()
            .filter(|view| view.genesis == Some(round.nonce) && change::own(desired, view).is_none())
            .map(|view| Ended { etcd: view.cluster, member: 0 }),
        _ => None,
    }
}

/// This master's learner makes no headway (M11): its entry goes, then its data is put aside and it joins anew.
fn stuck(seen: &Observed, marker: Option<&Marker>) -> Option<Step<Action>> {
    let Some(Marker::Joining { etcd, member, .. }) = marker else { return None };
    let view = seen.view.as_ref().filter(|view| view.cluster == *etcd)?;
    let entry = view.member(*member).filter(|entry| entry.role == Role::Learner)?;
    let stuck = seen.watched.stuck_for(view, *member, REJOIN_AFTER);
    stuck.then(|| Step {
        action: Action::RemoveMember { cluster: view.cluster, entry: entry.clone() },
        why: format!("this master's learner has made no progress for {} minutes", REJOIN_AFTER.as_secs() / 60),
    })
}

/// A log that etcd will never start from again (fault 19). With the others' quorum this master replaces itself: the data
/// is put aside, then its entry is removed and it joins as a new member. Until then it is kept as it is.
fn damaged(desired: &Desired, seen: &Observed, damage: &Damage, marker: Option<&Marker>) -> Plan<Action> {
    let mut plan = Plan::default();
    let kept = |hold, unblock: String| blocked(hold, START, format!("{damage}; the data is kept"), unblock);
    let Some(Marker::Joining { etcd, member, .. } | Marker::Formed { etcd, member, .. }) = marker else {
        plan.block(kept(Hold::Refused, "archive the data directory; this master then joins as a new member".into()));
        return plan;
    };
    let Some(view) = &seen.view else {
        let unblock = "the other masters having a quorum; this one then joins as a new member";
        plan.block(kept(Hold::Waiting, unblock.into()));
        return plan;
    };
    let own = view.member(*member).filter(|_| view.cluster == *etcd);
    match own.map(|own| change::removal(desired, view, &seen.conditions, own)) {
        Some(Ok(())) => put_aside(seen, &Ended { etcd: *etcd, member: *member }, marker, &damage.to_string()),
        Some(Err(held)) => {
            plan.block(kept(held.hold, format!("{} ({})", held.unblock, held.why)));
            plan
        }
        None => {
            plan.block(kept(Hold::Refused, format!("find out why etcd cluster {:x} does not know it", view.cluster)));
            plan
        }
    }
}

/// Stops what may still hang on the dead data (E16), notes the end, and puts the data aside.
pub(in crate::etcd) fn put_aside(seen: &Observed, ended: &Ended, marker: Option<&Marker>, why: &str) -> Plan<Action> {
    let mut plan = Plan::default();
    if matches!(seen.unit, UnitState::Active | UnitState::Changing) {
        plan.step(Action::Unit(UnitAction { unit: Unit::Etcd, verb: Verb::Stop }), why);
    }
    if let Some(marker) = marker.filter(|marker| !matches!(marker, Marker::Removed { .. })) {
        let removed = Marker::Removed { cluster: marker.cluster().clone(), etcd: ended.etcd, member: ended.member };
        plan.step(Action::WriteMarker { marker: removed }, why);
    }
    plan.step(Action::ArchiveData { name: format!("{:x}-{:x}", ended.etcd, ended.member) }, "data is never deleted");
    plan
}

/// What a running member still lacks.
fn member(desired: &Desired, seen: &Observed, marker: Option<&Marker>, cluster: Option<u64>) -> Plan<Action> {
    let mut plan = Plan::default();
    let status = match &seen.local {
        Local::Answers(status) => status,
        Local::Silent { why } => {
            plan.block(blocked(
                Hold::Waiting,
                HEALTHY,
                format!("etcd runs and does not answer: {why}"),
                "etcd answering",
            ));
            return plan;
        }
    };
    if let Some(cluster) = cluster
        && status.cluster != cluster
    {
        let why = format!("etcd runs cluster {:x}, this master's marker says {cluster:x}", status.cluster);
        plan.block(blocked(Hold::Refused, HEALTHY, why, "archive whichever data is not this cluster's"));
        return plan;
    }
    // It answers nothing then, and would look like a cluster without a quorum.
    if let Some(corrupt) = alarms(status).find(|alarm| alarm.kind == alarm::Kind::Corrupt) {
        plan.block(alarmed(&corrupt, seen.view.as_ref()));
        return plan;
    }
    let Some(view) = &seen.view else {
        let why = format!("no member of etcd cluster {:x} reads with quorum", status.cluster);
        plan.block(blocked(Hold::Waiting, HEALTHY, why, "a majority of the members being up and connected"));
        return plan;
    };
    if view.cluster != status.cluster {
        let why = format!("etcd runs cluster {:x} here and {:x} on {}", status.cluster, view.cluster, view.from);
        plan.block(blocked(Hold::Refused, HEALTHY, why, "find out which of them holds the data that counts"));
        return plan;
    }
    if let Some(Marker::Joining { member, .. } | Marker::Formed { member, .. }) = marker
        && status.member != *member
    {
        let why = format!("etcd runs as member {:x}, this master's marker says {member:x}", status.member);
        plan.block(blocked(Hold::Refused, HEALTHY, why, "find out whose data directory this is"));
        return plan;
    }
    if status.role == Role::Learner {
        plan.step(Action::Promote { cluster: status.cluster, member: status.member }, "it joined as a learner");
        return plan;
    }
    let formed = Marker::Formed { cluster: desired.cluster.clone(), etcd: status.cluster, member: status.member };
    if marker != Some(&formed) {
        plan.step(record(status, marker), "it was seen as a voter of a working cluster");
        return plan;
    }
    if let Some(alarm) = alarms(status).next() {
        plan.block(alarmed(&alarm, Some(view)));
        return plan;
    }
    match change::due(desired, view, &seen.conditions, &seen.watched) {
        Due::Nothing => {}
        Due::Remove(entry) => {
            plan.step(
                Action::RemoveMember { cluster: view.cluster, entry },
                "no master of the manifest is this member",
            );
        }
        Due::Evict { entry, applied } => plan.step(
            Action::EvictLearner { cluster: view.cluster, entry, applied },
            format!("it has made no progress for {} minutes and its host does not answer", EVICT_AFTER.as_secs() / 60),
        ),
        Due::Blocked(blocked) => plan.block(blocked),
    }
    plan
}

fn alarms(status: &LocalStatus) -> impl Iterator<Item = Alarm> {
    status.alarms.iter().map(|text| Alarm::read(text))
}

fn alarmed(alarm: &Alarm, view: Option<&View>) -> Blocked {
    let (why, unblock) = alarm.in_words(view);
    blocked(Hold::Refused, HEALTHY, why, unblock)
}

fn render(plan: &mut Plan<Action>, seen: &Observed, files: impl IntoIterator<Item = RenderedFile>, why: &str) {
    for file in files {
        if !seen.files.get(&file.path).is_some_and(|observed| observed.is(&file)) {
            plan.step(Action::Render { file }, why);
        }
    }
}

fn record(status: &LocalStatus, marker: Option<&Marker>) -> Action {
    let round = match marker {
        Some(Marker::Recovering { begun, .. }) => {
            let (etcd, member, begun) = (status.cluster, status.member, begun.clone());
            return Action::Recovery(recovery::Action::Record { etcd, member, begun });
        }
        Some(Marker::Executed { round, .. }) => Some(round.clone()),
        _ => None,
    };
    Action::RecordFormed { etcd: status.cluster, member: status.member, round }
}

const GONE: &str = "the cluster lists this member no more";
const START: &str = "start etcd";
const WENT_BACK: &str = "a majority of the others, beside whom it rejoins by itself; or its newer disk. If all masters went back to one \
                         and the same moment: remove 'reached.json' from /var/lib/quorate/etcd on each";
const HEALTHY: &str = "healthy etcd member";

#[cfg(test)]
pub(in crate::etcd) mod tests;
