//! What changes for the members of etcd.

use super::Effects;
use crate::manifest::{EtcdPhase, Manifest, Recovery};
use crate::plan::Part;
use crate::quorum::membership::{Seat, Transition};
use crate::quorum::tolerance;

pub(super) fn effects(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    let (seats_before, seats_after) = (before.seats(), after.seats());
    let Transition { added, removed, moved } = Transition::between(&seats_before, &seats_after);
    let at = |seats: &[Seat], name: &crate::ident::NodeName| {
        seats.iter().find(|seat| seat.name == *name).map_or_else(String::new, |seat| seat.address.to_string())
    };
    let (from, to) = (seats_before.len(), seats_after.len());
    let meanwhile = format!(
        "one change at a time, each checked against a fresh quorum read; {from} masters tolerate the loss of {}, {to} of {}",
        tolerance(from),
        tolerance(to)
    );
    for name in &removed {
        effects.add(
            Part::Etcd,
            format!("'{name}' ({}) leaves", at(&seats_before, name)),
            "it hands over leadership and removes itself; if it is dead, it is removed before its replacement is added",
            Some(&meanwhile),
        );
    }
    for name in &moved {
        effects.add(
            Part::Etcd,
            format!("'{name}' moves from {} to {}", at(&seats_before, name), at(&seats_after, name)),
            "for etcd it is another member: the old one leaves, the new one learns and is promoted",
            Some(&meanwhile),
        );
    }
    for name in &added {
        effects.add(
            Part::Etcd,
            format!("'{name}' ({}) joins", at(&seats_after, name)),
            "it learns without a vote and is promoted once it is in sync; the next one waits for it",
            Some(&meanwhile),
        );
    }
    match (&before.etcd, &after.etcd) {
        (EtcdPhase::Genesis, EtcdPhase::Formed { cluster_id }) => effects.add(
            Part::Etcd,
            format!("the etcd cluster is {cluster_id:016x} and exists"),
            "no master ever forms one again, whatever it has lost",
            None,
        ),
        (_, EtcdPhase::Recovery(Recovery { lost, from, snapshot, expires_at })) if before.etcd != after.etcd => effects.add(
            Part::Etcd,
            match snapshot {
                Some(digest) => format!("etcd cluster {lost:016x} is given up; '{from}' restores snapshot {}", digest.short()),
                None => format!("etcd cluster {lost:016x} is given up; '{from}' carries its data over into a new one"),
            },
            &format!(
                "unless a majority of the lost cluster still runs, and not after {expires_at}; all old data is archived, \
                 and the others join the new cluster one after another"
            ),
            Some("writes that only the other masters had are gone"),
        ),
        (EtcdPhase::Recovery(_), EtcdPhase::Formed { cluster_id }) => effects.add(
            Part::Etcd,
            format!("the etcd cluster is {cluster_id:016x}"),
            "the recovery is over; data of the lost cluster is archived wherever it turns up",
            None,
        ),
        (was, is) if was != is => effects.add(
            Part::Etcd,
            "the etcd cluster is another, or none yet".into(),
            "no master accepts this",
            Some("a second cluster formed over the first loses its data"),
        ),
        _ => {}
    }
}
