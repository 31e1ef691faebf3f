//! Rows without data: genesis, a start that was agreed to, joining, or waiting. Never `new` on a guess.

use super::{START, render};
use crate::etcd::change;
use crate::etcd::cluster::{Condition, Evidence, Listed, PeerSeen, Role, View, evidence};
use crate::etcd::genesis::{Marker, Round};
use crate::etcd::material::Material;
use crate::etcd::service::{Start, environment, key_files};
use crate::etcd::{Action, Desired, Observed, blocked, peer_url};
use crate::ident::NodeName;
use crate::manifest::EtcdPhase;
use crate::plan::{Hold, Part, Plan};
use crate::systemd::{self, Unit, UnitState};

/// Rows without data: genesis, a start that was committed, joining, or waiting. Never `new` on a guess.
pub(super) fn empty(desired: &Desired, seen: &Observed, material: &Material, marker: Option<&Marker>) -> Plan<Action> {
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
    // A member that runs out of room while it joins is a learner that keeps everybody else from joining.
    if let Err(why) = &seen.room {
        plan.block(blocked(Hold::Refused, START, why.clone(), "free space, or mount the data partition"));
        return plan;
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
        (_, EtcdPhase::Recovery(order), _) => wait(
            format!("etcd cluster {:x} is given up, and no cluster that follows it can be read", order.lost),
            "a majority of the members of the new cluster being up",
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
    match change::own(desired, view) {
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

/// The round this master agreed to, if the cluster records that it came from it.
fn round_of<'a>(marker: Option<&'a Marker>, view: &View) -> Option<&'a Round> {
    match marker {
        Some(Marker::Prepared { round } | Marker::Committed { round }) if view.genesis == Some(round.nonce) => {
            Some(round)
        }
        _ => None,
    }
}
