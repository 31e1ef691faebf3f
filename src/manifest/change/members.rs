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
    // How many have a vote once the step is done: what may be lost then is what it risks.
    let mut voters = seats_before.len();
    for name in &removed {
        voters = voters.saturating_sub(1);
        effects.add(
            Part::Etcd,
            format!("'{name}' ({}) leaves", at(&seats_before, name)),
            "it hands over leadership and removes itself; if it is dead, a healthy master removes it",
            Some(&meanwhile(voters)),
        );
    }
    for name in &moved {
        effects.add(
            Part::Etcd,
            format!("'{name}' moves from {} to {}", at(&seats_before, name), at(&seats_after, name)),
            "for etcd it is another member: the old one leaves, the new one learns and is promoted",
            Some(&meanwhile(voters.saturating_sub(1))),
        );
    }
    for name in &added {
        voters += 1;
        // An even number is passed through: one more to lose, and none gained.
        let risk = voters.is_multiple_of(2).then(|| meanwhile(voters));
        effects.add(
            Part::Etcd,
            format!("'{name}' ({}) joins", at(&seats_after, name)),
            "it learns without a vote and is promoted once it is in sync; the next one waits for it",
            risk.as_deref(),
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

/// What the cluster may lose while it has this many voters.
fn meanwhile(voters: usize) -> String {
    match tolerance(voters) {
        0 => format!("until the next step is done the cluster has {voters} voters: losing one more stops it"),
        some => format!("until the next step is done the cluster has {voters} voters and may lose {some}"),
    }
}
