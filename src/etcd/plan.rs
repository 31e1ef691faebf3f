//! The start-up decision table (spec/etcd.md), and what a running member still lacks. First match wins.
//!
//! Pure: no clock, no I/O. A row that would have to guess is `Blocked`. What a step needs to be safe at the
//! moment of execution (lock, fresh list) is the driver's; whether it is taken is decided here alone.

use super::change::{self, Due, Fit, fit};
use super::cluster::{Condition, Evidence, Listed, PeerSeen, Role, View, evidence};
use super::genesis::{Held, Marker, Round};
use super::material::Material;
use super::service::{Start, environment, key_files};
use super::{Action, DataDirectory, Desired, Local, LocalStatus, Observed, blocked, peer_url};
use crate::file::RenderedFile;
use crate::ident::NodeName;
use crate::manifest::EtcdPhase;
use crate::plan::{Hold, Part, Plan};
use crate::systemd::{self, Unit, UnitAction, UnitState, Verb};

/// What is done next for this host's member, and what is not done and why.
pub fn plan(desired: &Desired, seen: &Observed) -> Plan<Action> {
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
    match &seen.data {
        DataDirectory::Unknown { why } => refuse(why.clone(), "mount the data partition and make it writable"),
        DataDirectory::Foreign { found } => refuse(
            format!("the data directory holds '{found}' without a write-ahead log"),
            "archive the data directory once it is clear whose data it is",
        ),
        DataDirectory::HasWal => existing(desired, seen, material, marker),
        DataDirectory::Absent | DataDirectory::Empty => empty(desired, seen, material, marker),
    }
}

/// Rows with a write-ahead log: it is started at once, without asking anybody, if it is this master's own.
fn existing(desired: &Desired, seen: &Observed, material: &Material, marker: Option<&Marker>) -> Plan<Action> {
    let mut plan = Plan::default();
    if let Some(ended) = ended(desired, seen, marker) {
        return put_aside(seen, &ended, marker);
    }
    let cluster = match marker {
        Some(Marker::Executed { .. }) => None,
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

/// A membership that is over: its cluster and member id.
struct Ended {
    etcd: u64,
    member: u64,
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
            .filter(|view| view.genesis == Some(round.nonce) && own(desired, view).is_none())
            .map(|view| Ended { etcd: view.cluster, member: 0 }),
        _ => None,
    }
}

/// Stops what may still hang on the dead data (E16), notes the end, and puts the data aside.
fn put_aside(seen: &Observed, ended: &Ended, marker: Option<&Marker>) -> Plan<Action> {
    let mut plan = Plan::default();
    let why = "the cluster lists this member no more";
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
    if !status.alarms.is_empty() {
        let unblock =
            "for NOSPACE compact, defragment and disarm; for CORRUPT replace the member ('quorate help etcd')";
        plan.block(blocked(Hold::Refused, HEALTHY, status.alarms.join(", "), unblock));
        return plan;
    }
    match change::due(desired, view, &seen.conditions) {
        Due::Nothing => {}
        Due::Remove(entry) => {
            plan.step(
                Action::RemoveMember { cluster: view.cluster, entry },
                "no master of the manifest is this member",
            );
        }
        Due::Blocked(blocked) => plan.block(blocked),
    }
    plan
}

/// Rows without data: genesis, a start that was committed, joining, or waiting. Never `new` on a guess.
fn empty(desired: &Desired, seen: &Observed, material: &Material, marker: Option<&Marker>) -> Plan<Action> {
    let mut plan = Plan::default();
    let mut wait = |why: String, unblock: &str| {
        plan.block(blocked(Hold::Waiting, START, why, unblock));
        std::mem::take(&mut plan)
    };
    match &seen.unit {
        UnitState::Changing => {
            return wait("etcd is starting and has no data directory yet".into(), "the start to end");
        }
        UnitState::Active => {
            plan.block(blocked(
                Hold::Refused,
                START,
                "the data directory vanished under a running etcd",
                "stop quorate-etcd.service and look at the storage",
            ));
            return plan;
        }
        _ => {}
    }
    let marker = as_committed(seen, marker);
    let marker = marker.as_ref();
    match (marker, &desired.phase, evidence(seen.view.as_ref(), &seen.peers)) {
        // All masters agreed, and this one has never run: nothing that the others show could make its start unsafe, and
        // a late one is fine (E15). The others may need it for their quorum, so it waits for nobody.
        (Some(Marker::Committed { round }), EtcdPhase::Genesis, _)
            if round.fits(&desired.cluster, &desired.members) =>
        {
            start_new(desired, seen, material, round)
        }
        (Some(Marker::Committed { .. }), EtcdPhase::Genesis, _) => {
            plan.block(blocked(
                Hold::Refused,
                START,
                "the masters of the manifest changed while the first formation was under way",
                "go back to the former masters until the cluster is formed",
            ));
            plan
        }
        (_, _, Evidence::Quorum(view)) => beside(desired, seen, material, marker, view),
        (_, _, Evidence::NoQuorum { cluster }) => wait(
            format!("etcd cluster {cluster:x} exists and has no quorum, so this master cannot join it"),
            "a majority of its members being up; if their data is lost for good, a signed recovery",
        ),
        (_, EtcdPhase::Formed { cluster_id }, _) => wait(
            format!("etcd cluster {cluster_id:x} exists by the manifest, and none of its members can be read"),
            "a majority of its members being up; if their data is lost for good, a signed recovery",
        ),
        (None | Some(Marker::Prepared { .. }), EtcdPhase::Genesis, _) => {
            plan.step(
                Action::FormCluster { with: desired.peers().map(|(name, _)| name.clone()).collect() },
                "spec.etcd.phase is genesis and no master shows a cluster",
            );
            plan
        }
        (Some(marker), EtcdPhase::Genesis, _) => wait(
            format!("the data of this master is gone ({marker}), and no cluster is there to join"),
            "the other masters; if no data is left anywhere, a manifest with a new cluster id",
        ),
    }
}

/// An etcd that was started and never touched its directory is as good as one that was not started.
fn as_committed(seen: &Observed, marker: Option<&Marker>) -> Option<Marker> {
    match marker {
        Some(Marker::Executed { round, untouched }) if untouched.is_some() && *untouched == seen.stamp => {
            Some(Marker::Committed { round: round.clone() })
        }
        marker => marker.cloned(),
    }
}

/// Rows of an empty directory beside a cluster with quorum.
fn beside(
    desired: &Desired,
    seen: &Observed,
    material: &Material,
    marker: Option<&Marker>,
    view: &View,
) -> Plan<Action> {
    let mut plan = Plan::default();
    if let EtcdPhase::Formed { cluster_id } = desired.phase
        && cluster_id != view.cluster
    {
        let why = format!("the masters run etcd cluster {:x}, the manifest names {cluster_id:x}", view.cluster);
        plan.block(blocked(Hold::Refused, START, why, "correct 'spec.etcd.formed.clusterId'"));
        return plan;
    }
    let url = peer_url(desired.address);
    match own(desired, view) {
        Some(entry) if !entry.has_run() && round_of(marker, view).is_some() => {
            // The cluster was formed with this master's consent while it was away: a late `new` is fine (E15).
            if let Some(round) = round_of(marker, view) {
                if matches!(marker, Some(Marker::Prepared { .. })) {
                    let marker = Marker::Committed { round: round.clone() };
                    plan.step(Action::WriteMarker { marker }, "the cluster records this very genesis");
                }
                plan.extend(start_new(desired, seen, material, round));
            }
        }
        Some(entry) if entry.role == Role::Learner && entry.name.is_empty() => match unaware(seen, entry) {
            Some(peer) => plan.block(blocked(
                Hold::Waiting,
                START,
                format!("{peer} does not list this master's learner yet"),
                "every reachable master listing it (etcd refuses an earlier start)",
            )),
            None => plan.extend(start_joining(desired, seen, material, view, entry)),
        },
        Some(entry) if seen.conditions.get(&entry.id) == Some(&Condition::Healthy) => plan.block(blocked(
            Hold::Refused,
            START,
            format!("member {} runs at this master's address and has its data elsewhere", change::label(entry)),
            "find out who runs it",
        )),
        Some(entry) => match change::removal(desired, view, &seen.conditions, entry) {
            Ok(()) => plan.step(
                Action::RemoveMember { cluster: view.cluster, entry: entry.clone() },
                "its data is gone, so this master joins as a new member",
            ),
            Err(blocked) => plan.block(blocked),
        },
        None => match view.members.iter().find(|listed| listed.peer_urls.contains(&url)) {
            Some(listed) => plan.block(blocked(
                Hold::Refused,
                START,
                format!("member {} is listed at this master's address", change::label(listed)),
                "correct the names in the manifest, or remove that member by hand",
            )),
            None if view.members.len() >= desired.members.len() => plan.block(blocked(
                Hold::Waiting,
                START,
                format!("the cluster has {} members already, none of them this master", view.members.len()),
                "the member that no manifest names being removed by another master",
            )),
            None => match change::addition(desired, view, &seen.conditions) {
                Ok(()) => plan.step(
                    Action::AddLearner { cluster: view.cluster, peer_url: url },
                    format!("etcd cluster {:x} works and this master is not in it", view.cluster),
                ),
                Err(blocked) => plan.block(blocked),
            },
        },
    }
    plan
}

/// This master's entry.
fn own<'a>(desired: &Desired, view: &'a View) -> Option<&'a Listed> {
    view.members.iter().find(|listed| fit(desired, listed) == Fit::Master(desired.me.clone()))
}

/// A peer whose own list does not show `entry` yet (fault 6).
fn unaware<'a>(seen: &'a Observed, entry: &Listed) -> Option<&'a NodeName> {
    seen.peers.iter().find_map(|(name, shown)| match shown {
        PeerSeen::Members { members, .. } if !members.iter().any(|listed| listed.id == entry.id) => Some(name),
        _ => None,
    })
}

fn start_new(desired: &Desired, seen: &Observed, material: &Material, round: &Round) -> Plan<Action> {
    let start = Start::New(round.clone());
    let marker = Marker::Executed { round: round.clone(), untouched: seen.stamp };
    starting(desired, seen, material, &start, marker, "all masters agreed to it")
}

fn start_joining(desired: &Desired, seen: &Observed, material: &Material, view: &View, entry: &Listed) -> Plan<Action> {
    let name = |listed: &Listed| if listed.id == entry.id { desired.me.to_string() } else { listed.name.clone() };
    let members = view.members.iter().flat_map(|listed| listed.peer_urls.iter().map(|url| (name(listed), url.clone())));
    let marker = Marker::Joining { cluster: desired.cluster.clone(), etcd: view.cluster, member: entry.id };
    starting(desired, seen, material, &Start::Join(members.collect()), marker, "the cluster lists it as a learner")
}

/// Files first, then the marker, then the start: the marker says that etcd may have run from here on.
fn starting(
    desired: &Desired,
    seen: &Observed,
    material: &Material,
    start: &Start,
    marker: Marker,
    why: &str,
) -> Plan<Action> {
    let mut plan = Plan::default();
    render(&mut plan, seen, key_files(&seen.places, material), "the unit reads its own copies");
    render(&mut plan, seen, [environment(&desired.me, desired.address, &seen.places, start)], why);
    let unit = systemd::plan::running(Unit::Etcd, &seen.unit, Part::Etcd, why).map(Action::Unit);
    if unit.blocked.is_empty() {
        plan.step(Action::WriteMarker { marker }, "from here on an empty data directory means lost data");
    }
    plan.extend(unit);
    plan
}

fn render(plan: &mut Plan<Action>, seen: &Observed, files: impl IntoIterator<Item = RenderedFile>, why: &str) {
    for file in files {
        if !seen.files.get(&file.path).is_some_and(|observed| observed.is(&file)) {
            plan.step(Action::Render { file }, why);
        }
    }
}

/// The round this master agreed to, if the cluster records that it came from it.
fn round_of<'a>(marker: Option<&'a Marker>, view: &View) -> Option<&'a Round> {
    match marker {
        Some(Marker::Prepared { round } | Marker::Committed { round }) if view.genesis == Some(round.nonce) => {
            Some(round)
        }
        _ => None,
    }
}

fn record(status: &LocalStatus, marker: Option<&Marker>) -> Action {
    let round = match marker {
        Some(Marker::Executed { round, .. }) => Some(round.clone()),
        _ => None,
    };
    Action::RecordFormed { etcd: status.cluster, member: status.member, round }
}

const START: &str = "start etcd";
const HEALTHY: &str = "healthy etcd member";

#[cfg(test)]
mod tests;
