//! Rows of a master that the manifest names no more: it leaves by itself, and its data is put aside.
//!
//! It keeps serving until the cluster can spare it. Others remove it only when it does not go ([`change::due`]).

use super::{Ended, GONE, existing, put_aside};
use crate::etcd::change;
use crate::etcd::cluster::{Listed, View};
use crate::etcd::genesis::Marker;
use crate::etcd::material::Material;
use crate::etcd::{Action, DataDirectory, Desired, Observed, blocked, peer_url};
use crate::plan::{Hold, Plan};
use crate::systemd::UnitState;

/// What a leaving master does next. First match wins.
pub(super) fn leave(desired: &Desired, seen: &Observed, material: &Material, marker: Option<&Marker>) -> Plan<Action> {
    let mut plan = Plan::default();
    let (cluster, member) = match marker {
        Some(Marker::Joining { etcd, member, .. } | Marker::Formed { etcd, member, .. }) => {
            (Some(*etcd), Some(*member))
        }
        // It began and was never seen as a member: only its address tells which entry is its.
        Some(Marker::Executed { .. } | Marker::Recovering { .. }) => (None, None),
        Some(Marker::Removed { etcd, member, .. }) => {
            let has_left = seen.data != DataDirectory::HasWal;
            return if has_left {
                left(desired)
            } else {
                put_aside(seen, &Ended { etcd: *etcd, member: *member }, marker, GONE)
            };
        }
        None | Some(Marker::Prepared { .. } | Marker::Committed { .. }) => return left(desired),
    };
    let Some(view) = &seen.view else {
        // Its vote may be the one that is missing.
        if seen.data == DataDirectory::HasWal {
            return existing(desired, seen, material, marker);
        }
        plan.block(blocked(Hold::Waiting, LEAVE, "nobody reads with quorum", "a majority of the members being up"));
        return plan;
    };
    if let Some(cluster) = cluster.filter(|cluster| *cluster != view.cluster) {
        let why = format!("its data is of etcd cluster {cluster:x}, the masters run {:x}", view.cluster);
        plan.block(blocked(Hold::Refused, LEAVE, why, "correct the manifest, or archive the data"));
        return plan;
    }
    let Some(entry) = entry(desired, view, member) else {
        return gone(seen, &Ended { etcd: view.cluster, member: member.unwrap_or_default() }, marker);
    };
    match change::removal(desired, view, &seen.conditions, entry) {
        Ok(()) => plan.step(
            Action::RemoveMember { cluster: view.cluster, entry: entry.clone() },
            format!("generation {} does not name this master", desired.generation),
        ),
        Err(held) => {
            // Until then it is a member like any other, also after a reboot.
            if seen.data == DataDirectory::HasWal && seen.unit != UnitState::Active {
                plan = existing(desired, seen, material, marker);
            }
            plan.block(held);
        }
    }
    plan
}

fn entry<'a>(desired: &Desired, view: &'a View, member: Option<u64>) -> Option<&'a Listed> {
    let at = |listed: &&Listed| {
        listed.peer_urls == [peer_url(desired.address)]
            && (listed.name == desired.me.as_str() || listed.name.is_empty())
    };
    match member {
        Some(member) => view.member(member),
        None => view.members.iter().find(at),
    }
}

/// The list no longer has it.
fn gone(seen: &Observed, ended: &Ended, marker: Option<&Marker>) -> Plan<Action> {
    if seen.data == DataDirectory::HasWal {
        return put_aside(seen, ended, marker, GONE);
    }
    let mut plan = Plan::default();
    if let Some(marker) = marker {
        let removed = Marker::Removed { cluster: marker.cluster().clone(), etcd: ended.etcd, member: ended.member };
        plan.step(Action::WriteMarker { marker: removed }, GONE);
    }
    plan
}

/// Nothing is left to be done here.
fn left(desired: &Desired) -> Plan<Action> {
    let mut plan = Plan::default();
    plan.block(blocked(
        Hold::Refused,
        "be a member",
        format!("generation {} does not name this master, and it has left the cluster", desired.generation),
        "nothing: switch it off, or name it in a manifest and it joins as a new member",
    ));
    plan
}

const LEAVE: &str = "leave the cluster";
