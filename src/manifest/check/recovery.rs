//! What must hold for `spec.etcd`: one phase, and a recovery that names one of the masters and does not last.

use super::Found;
use crate::manifest::document::{Etcd, Master};
use crate::yaml::read::Written;
use jiff::{SignedDuration, Timestamp};

/// Longest time from signing a recovery to beginning it. It is signed when it is needed, by somebody who waits for it.
const LONGEST: SignedDuration = SignedDuration::from_hours(24);

pub(super) fn check(
    etcd: &Written<Etcd>,
    masters: Option<&Written<Vec<Written<Master>>>>,
    issued: Option<&Written<Timestamp>>,
    found: &mut Found<'_>,
) {
    let Etcd { phase, formed, recovery } = &etcd.value;
    let written = [phase.is_some(), formed.is_some(), recovery.is_some()];
    if written.iter().filter(|written| **written).count() != 1 && found.all_read("spec.etcd") {
        found.invalid(
            "etcd-phase",
            "spec.etcd",
            &etcd.place,
            "'etcd' has one of 'phase', 'formed' and 'recovery'".into(),
            "whether the cluster exists decides whether it may be formed: forming it twice loses data",
            "write '{ phase: genesis }' for a new cluster, '{ formed: { clusterId: … } }' for one that exists",
        );
    }
    let Some(recovery) = recovery.as_ref().map(|written| &written.value) else { return };
    if let (Some(from), Some(masters)) = (&recovery.from, masters)
        && !masters.value.iter().any(|master| master.value.name.as_ref().is_some_and(|name| name.value == from.value))
        && found.all_read("spec.masters")
    {
        found.invalid(
            "recovery-from",
            "spec.etcd.recovery.from",
            &from.place,
            format!("'{}' is none of the masters", from.value),
            "the master whose data goes on becomes the first member of the new cluster",
            "write the name of a listed master that still has its data",
        );
        found.see(&masters.place, "the masters");
    }
    if let (Some(expires), Some(issued)) = (&recovery.expires_at, issued) {
        let window = expires.value.duration_since(issued.value);
        if !(SignedDuration::ZERO < window && window <= LONGEST) {
            found.invalid(
                "recovery-window",
                "spec.etcd.recovery.expiresAt",
                &expires.place,
                format!("the recovery may begin until {}", expires.value),
                "an order to give up a cluster is for now, and must do nothing when it turns up later",
                "write a time after 'issuedAt', and within a day of it",
            );
            found.see(&issued.place, "issued");
        }
    }
}
