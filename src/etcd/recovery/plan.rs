//! What a recovery asks of this master (spec/etcd.md, "Recovery"), before the ordinary rows are looked at.
//!
//! Pure. It speaks up for a master that has begun a recovery, that a directive names, that has data of a cluster which is
//! given up, or that has no data while a directive is in force. For all others the ordinary rows hold.

use super::{Action as Step, Begun, Stage};
use crate::etcd::cluster::{PeerSeen, Role, View};
use crate::etcd::genesis::Marker;
use crate::etcd::plan::{Ended, put_aside};
use crate::etcd::{Action, DataDirectory, Desired, Local, Observed, blocked, peer_url};
use crate::ident::NodeName;
use crate::manifest::{EtcdPhase, Recovery};
use crate::plan::{Blocked, Hold, Plan};
use crate::quorum::quorum;
use crate::systemd::{Unit, UnitAction, UnitState, Verb};

/// Whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// The ordinary rows hold.
    Ordinary,
    /// The ordinary rows hold, and this is not done beside them.
    Beside(Blocked),
    /// This is done instead.
    Instead(Plan<Action>),
}

/// What the recovery, if there is one, asks of this master.
pub fn turn(desired: &Desired, seen: &Observed, marker: Option<&Marker>) -> Turn {
    match (marker, &seen.data, &desired.phase) {
        (_, DataDirectory::Unknown { .. } | DataDirectory::Foreign { .. }, _) => Turn::Ordinary,
        (Some(Marker::Recovering { begun, .. }), _, _) => under_way(desired, seen, marker, begun),
        (Some(Marker::Removed { .. }), DataDirectory::HasWal, _) => Turn::Ordinary,
        (_, DataDirectory::HasWal, phase) => match (given_up(desired, seen, marker), phase) {
            (Some(ended), _) => {
                Turn::Instead(put_aside(seen, &ended, marker, "its cluster was given up by a recovery"))
            }
            (None, EtcdPhase::Recovery(order)) if own_cluster(seen, marker) == Some(order.lost) => {
                with_data(desired, seen, order, marker)
            }
            _ => Turn::Ordinary,
        },
        (_, DataDirectory::Absent | DataDirectory::Empty, EtcdPhase::Recovery(order)) => {
            without_data(desired, seen, order, marker)
        }
        _ => Turn::Ordinary,
    }
}

/// How many voters of `lost` run and how many it has, as the peer ports of all masters show it.
pub fn running<'a>(
    desired: &Desired,
    lost: u64,
    ports: impl Iterator<Item = (&'a NodeName, &'a PeerSeen)>,
) -> (usize, usize) {
    let shown: Vec<_> = ports
        .filter_map(|(name, port)| match port {
            PeerSeen::Members { cluster, members } if *cluster == lost => Some((name, members)),
            _ => None,
        })
        .collect();
    // Lists may be stale; the one with the most voters asks for the least to be careful, the one with the fewest for most.
    let voters = shown.iter().map(|(_, members)| members.iter().filter(|member| member.role == Role::Voter).count());
    let votes = |name: &NodeName| {
        let url = desired.members.get(name).map(|address| peer_url(*address));
        let learns = shown.iter().flat_map(|(_, members)| members.iter()).any(|member| {
            member.role == Role::Learner && url.as_ref().is_some_and(|url| member.peer_urls.contains(url))
        });
        !learns
    };
    (shown.iter().filter(|(name, _)| votes(name)).count(), voters.min().unwrap_or(desired.members.len()))
}

/// A master that has begun goes on from its marker, whatever the time.
fn under_way(desired: &Desired, seen: &Observed, marker: Option<&Marker>, begun: &Begun) -> Turn {
    let other = |view: &&View| {
        view.recovered.as_ref().is_some_and(|it| it.nonce != begun.nonce && it.given_up.contains(&begun.lost))
    };
    if let Some(view) = seen.view.as_ref().filter(other) {
        // Another master's recovery of the same cluster was signed later and succeeded: this one is over.
        let ended = Ended { etcd: begun.lost, member: begun.member };
        if seen.data == DataDirectory::HasWal {
            return Turn::Instead(put_aside(
                seen,
                &ended,
                marker,
                "another recovery of the same cluster came out first",
            ));
        }
        let removed = Marker::Removed { cluster: desired.cluster.clone(), etcd: ended.etcd, member: ended.member };
        let why = format!("etcd cluster {:x} came out of another recovery", view.cluster);
        return Turn::Instead(one(Action::WriteMarker { marker: removed }, why));
    }
    let asked_for = match &desired.phase {
        EtcdPhase::Recovery(order) => order.lost == begun.lost && order.from == desired.me,
        EtcdPhase::Formed { cluster_id } => *cluster_id != begun.lost,
        EtcdPhase::Genesis => false,
    };
    if !asked_for {
        let why =
            format!("a recovery of etcd cluster {:x} was begun here, and the manifest asks for it no more", begun.lost);
        return refuse(why, "sign the directive again; the old data is untouched or in the archive");
    }
    let why = format!("the recovery of etcd cluster {:x} is under way", begun.lost);
    match (begun.stage, &seen.data) {
        (Stage::Affirmed, DataDirectory::HasWal) => {
            let mut plan = stop(seen, &why);
            plan.step(Action::ArchiveData { name: begun.archive() }, "data is never deleted");
            Turn::Instead(plan)
        }
        (Stage::Affirmed, _) => {
            let begun = Begun { stage: Stage::Aside, ..begun.clone() };
            let marker = Marker::Recovering { cluster: desired.cluster.clone(), begun };
            Turn::Instead(one(Action::WriteMarker { marker }, "the old data is in the archive"))
        }
        (Stage::Aside, DataDirectory::HasWal) => match &seen.local {
            Local::Answers(status) if status.cluster == begun.lost => refuse(
                format!("etcd runs the cluster {:x} that is given up", begun.lost),
                "find out who put its data back",
            ),
            _ => Turn::Ordinary,
        },
        (Stage::Aside, _) => {
            let mut plan = stop(seen, &why);
            plan.step(Action::Recovery(Step::Restore { begun: begun.clone() }), why);
            Turn::Instead(plan)
        }
    }
}

/// This master's membership in a cluster that was given up, as the cluster that followed it records (M9).
fn given_up(desired: &Desired, seen: &Observed, marker: Option<&Marker>) -> Option<Ended> {
    let view = seen.view.as_ref()?;
    let own = own_cluster(seen, marker).filter(|own| *own != view.cluster)?;
    let accepted = match &desired.phase {
        EtcdPhase::Recovery(order) => order.lost != view.cluster,
        EtcdPhase::Formed { cluster_id } => *cluster_id == view.cluster,
        EtcdPhase::Genesis => false,
    };
    let recorded = view.recovered.as_ref().is_some_and(|recovered| recovered.given_up.contains(&own));
    (accepted && recorded).then(|| Ended { etcd: own, member: own_member(desired, seen, marker) })
}

/// A master with data of the cluster that the directive gives up.
fn with_data(desired: &Desired, seen: &Observed, order: &Recovery, marker: Option<&Marker>) -> Turn {
    match &seen.view {
        Some(view) if view.cluster == order.lost => return Turn::Beside(not_lost(order.lost)),
        Some(view) => return Turn::Beside(unrecorded(view, order)),
        None => {}
    }
    if order.from != desired.me {
        return Turn::Beside(awaits(order));
    }
    if let Some(blocked) = not_to_be_begun(desired, seen, order) {
        return Turn::Beside(blocked);
    }
    let shows_it = matches!(
        seen.recovery.as_ref().map(|recovery| &recovery.own_port),
        Some(PeerSeen::Members { cluster, .. }) if *cluster == order.lost
    );
    if order.snapshot.is_none() && !shows_it {
        return Turn::Beside(blocked(
            Hold::Waiting,
            RECOVER,
            format!("etcd does not run here as a member of etcd cluster {:x}", order.lost),
            "etcd running on its data; if it cannot, a directive that names a snapshot",
        ));
    }
    Turn::Instead(affirm(order, own_member(desired, seen, marker)))
}

/// A master without data while a directive is in force.
fn without_data(desired: &Desired, seen: &Observed, order: &Recovery, marker: Option<&Marker>) -> Turn {
    if matches!(seen.unit, UnitState::Active | UnitState::Changing) {
        return Turn::Ordinary;
    }
    let only = |blocked| {
        let mut plan = Plan::default();
        plan.block(blocked);
        Turn::Instead(plan)
    };
    match &seen.view {
        Some(view) if view.cluster == order.lost => return only(not_lost(order.lost)),
        Some(view) if view.recovered.as_ref().is_some_and(|it| it.given_up.contains(&order.lost)) => {
            return Turn::Ordinary;
        }
        Some(view) => return only(unrecorded(view, order)),
        None => {}
    }
    if order.from != desired.me {
        return only(awaits(order));
    }
    if let Some(marker) = marker.filter(|marker| {
        matches!(marker, Marker::Removed { .. }) || own_cluster(seen, Some(marker)).is_some_and(|own| own != order.lost)
    }) {
        return only(blocked(
            Hold::Waiting,
            RECOVER,
            format!("the directive was carried out before, this master is {marker}, and its data is gone"),
            "the other members of that cluster",
        ));
    }
    if order.snapshot.is_none() {
        return refuse(
            format!("this master has no data of etcd cluster {:x}", order.lost),
            "sign a directive that names a master with data, or a snapshot ('quorate help recovery')",
        );
    }
    match not_to_be_begun(desired, seen, order) {
        Some(blocked) => only(blocked),
        None => Turn::Instead(affirm(order, 0)),
    }
}

/// What keeps the named master from beginning: the time, or a lost cluster that is not lost.
fn not_to_be_begun(desired: &Desired, seen: &Observed, order: &Recovery) -> Option<Blocked> {
    let Some(recovery) = &seen.recovery else {
        return Some(blocked(
            Hold::Waiting,
            RECOVER,
            "the time and etcd's own port were not looked at",
            "the next look",
        ));
    };
    if recovery.now >= order.expires_at {
        let why = format!("the directive ended at {}", order.expires_at);
        return Some(blocked(
            Hold::Refused,
            RECOVER,
            why,
            "sign a new generation with a later 'expiresAt', if it still holds",
        ));
    }
    let ports = seen.peers.iter().chain(std::iter::once((&desired.me, &recovery.own_port)));
    let (up, voters) = running(desired, order.lost, ports);
    (up >= quorum(voters)).then(|| {
        let why = format!("{up} of {voters} voters of etcd cluster {:x} run: that is a majority", order.lost);
        blocked(Hold::Refused, RECOVER, why, "let them find each other; the cluster is not lost")
    })
}

/// The etcd cluster of this master's data. A master that was killed in genesis knows it only once etcd runs.
fn own_cluster(seen: &Observed, marker: Option<&Marker>) -> Option<u64> {
    match marker? {
        Marker::Formed { etcd, .. } | Marker::Joining { etcd, .. } | Marker::Removed { etcd, .. } => Some(*etcd),
        Marker::Executed { .. } => match &seen.recovery.as_ref()?.own_port {
            PeerSeen::Members { cluster, .. } => Some(*cluster),
            PeerSeen::NotListening | PeerSeen::Silent { .. } => None,
        },
        Marker::Recovering { .. } | Marker::Prepared { .. } | Marker::Committed { .. } => None,
    }
}

fn own_member(desired: &Desired, seen: &Observed, marker: Option<&Marker>) -> u64 {
    match marker {
        Some(Marker::Formed { member, .. } | Marker::Joining { member, .. }) => *member,
        _ => match seen.recovery.as_ref().map(|recovery| &recovery.own_port) {
            Some(PeerSeen::Members { members, .. }) => {
                let url = peer_url(desired.address);
                members.iter().find(|listed| listed.peer_urls.contains(&url)).map_or(0, |listed| listed.id)
            }
            _ => 0,
        },
    }
}

fn affirm(order: &Recovery, member: u64) -> Plan<Action> {
    let step = Step::Affirm { lost: order.lost, member, snapshot: order.snapshot };
    one(Action::Recovery(step), "spec.etcd.recovery names this master")
}

fn not_lost(lost: u64) -> Blocked {
    blocked(
        Hold::Refused,
        RECOVER,
        format!("etcd cluster {lost:x} reads with quorum: it is not lost"),
        format!("sign a new generation with 'formed: {{ clusterId: \"{lost:016x}\" }}' in place of 'recovery'"),
    )
}

fn unrecorded(view: &View, order: &Recovery) -> Blocked {
    let why = format!("etcd cluster {:x} does not record that it follows {:x}", view.cluster, order.lost);
    blocked(
        Hold::Waiting,
        RECOVER,
        why,
        format!("{} recording it; if it never does, find out whose cluster it is", order.from),
    )
}

fn awaits(order: &Recovery) -> Blocked {
    let why = format!("etcd cluster {:x} is given up, and no cluster has followed it yet", order.lost);
    blocked(Hold::Waiting, RECOVER, why, format!("{} carrying its data over into a new one", order.from))
}

fn refuse(why: String, unblock: &str) -> Turn {
    let mut plan = Plan::default();
    plan.block(blocked(Hold::Refused, RECOVER, why, unblock));
    Turn::Instead(plan)
}

fn stop(seen: &Observed, why: &str) -> Plan<Action> {
    match seen.unit {
        UnitState::Active | UnitState::Changing => {
            one(Action::Unit(UnitAction { unit: Unit::Etcd, verb: Verb::Stop }), why)
        }
        _ => Plan::default(),
    }
}

fn one(action: Action, why: impl Into<String>) -> Plan<Action> {
    let mut plan = Plan::default();
    plan.step(action, why);
    plan
}

const RECOVER: &str = "recover the etcd cluster";

#[cfg(test)]
mod tests;
