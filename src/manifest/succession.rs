//! May this manifest follow the one in force? What `quorate check --against` says on the workstation and what a host
//! says at the drop, from one function.

use super::{EtcdPhase, Manifest, Recovery};
use crate::quorum::membership::{Succession, judge_transition};
use crate::trust::rollback::{self, Admission, Least};

/// Why a manifest may not follow the one in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SuccessionError {
    /// The masters change in a way that could cost the quorum.
    #[error("{why}; {instead}")]
    Masters {
        /// What it would cost.
        why: String,
        /// What to do instead.
        instead: String,
    },
    /// The etcd cluster exists, and the new manifest says that it does not.
    #[error(
        "the etcd cluster {formed:016x} exists and 'etcd' says 'phase: genesis', which would allow forming a second \
         one over its data; keep 'formed: {{ clusterId: \"{formed:016x}\" }}'"
    )]
    GenesisAgain {
        /// The cluster that exists.
        formed: u64,
    },
    /// The etcd cluster exists, and the new manifest names another.
    #[error(
        "the etcd cluster is {formed:016x} and 'etcd' names {named:016x}; a cluster's id never changes: keep \
         'formed: {{ clusterId: \"{formed:016x}\" }}'"
    )]
    OtherEtcd {
        /// The cluster that exists.
        formed: u64,
        /// The one that is named.
        named: u64,
    },
    /// It gives up an etcd cluster that is not the one in force.
    #[error(
        "the etcd cluster is {formed:016x} and 'recovery' gives up {lost:016x}; read the id of the lost cluster from \
         'quorate status' and sign again"
    )]
    OtherLost {
        /// The cluster that exists.
        formed: u64,
        /// The one that is given up.
        lost: u64,
    },
    /// It says which manifest it replaces, and that is not the one in force.
    #[error(
        "'supersedes' names {named}, in force is {in_force}; somebody else changed the manifest in between: start from that one"
    )]
    Supersedes {
        /// Short digest of what it wants to replace.
        named: String,
        /// Short digest of what it would replace.
        in_force: String,
    },
}

/// Whether `after` may follow `before`. Which generation may follow which is `trust::rollback`'s question.
///
/// # Errors
/// Names the first rule it breaks, the gravest first.
pub fn judge(before: &Manifest, after: &Manifest) -> Result<(), SuccessionError> {
    match (&before.etcd, &after.etcd) {
        (EtcdPhase::Formed { cluster_id }, EtcdPhase::Genesis) => {
            return Err(SuccessionError::GenesisAgain { formed: *cluster_id });
        }
        (EtcdPhase::Formed { cluster_id: formed }, EtcdPhase::Formed { cluster_id: named }) if formed != named => {
            return Err(SuccessionError::OtherEtcd { formed: *formed, named: *named });
        }
        (EtcdPhase::Recovery(recovery), EtcdPhase::Genesis) => {
            return Err(SuccessionError::GenesisAgain { formed: recovery.lost });
        }
        (EtcdPhase::Formed { cluster_id: formed }, EtcdPhase::Recovery(Recovery { lost, .. })) if formed != lost => {
            return Err(SuccessionError::OtherLost { formed: *formed, lost: *lost });
        }
        // After a recovery the cluster has an id that no manifest could know: the hosts compare it with what they run.
        _ => {}
    }
    let (from, to) = (before.seats(), after.seats());
    if let Succession::Refused { why, instead } =
        judge_transition((before.generation, &from), (after.generation, &to), &after.acknowledged)
    {
        return Err(SuccessionError::Masters { why, instead });
    }
    // A host that was away sees a later manifest than the one that is superseded; it cannot tell.
    let next = after.generation.0 == before.generation.0.saturating_add(1);
    match after.supersedes {
        Some(named) if next && named != before.digest => {
            Err(SuccessionError::Supersedes { named: named.short(), in_force: before.digest.short() })
        }
        _ => Ok(()),
    }
}

/// The whole verdict of a host that has `before` in force: the ratchet and the rules above. Trusted by one signature,
/// as most images are; an image that demands two allows larger jumps of the generation.
///
/// # Errors
/// In words, what the host would say.
pub fn follows(before: &Manifest, after: &Manifest) -> Result<(), String> {
    let in_force = before.mark();
    match rollback::admit(Some(&in_force), &after.mark(), Least::default(), 1) {
        Ok(Admission::Same) => Ok(()),
        Ok(Admission::New) => judge(before, after).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Digest, Generation};

    fn manifest(generation: u64, etcd: EtcdPhase) -> Manifest {
        let text = include_str!("../../spec/examples/three-masters.yaml");
        let manifest = crate::manifest::parse::parse("manifest.yaml", text.as_bytes()).unwrap().manifest;
        Manifest { generation: Generation(generation), etcd, ..manifest }
    }

    #[test]
    fn a_cluster_that_exists_is_never_formed_again() {
        let formed = |cluster_id| EtcdPhase::Formed { cluster_id };
        let genesis = || EtcdPhase::Genesis;
        assert_eq!(judge(&manifest(1, genesis()), &manifest(2, formed(7))), Ok(()));
        assert_eq!(judge(&manifest(1, formed(7)), &manifest(2, formed(7))), Ok(()));
        assert_eq!(
            judge(&manifest(1, formed(7)), &manifest(2, genesis())),
            Err(SuccessionError::GenesisAgain { formed: 7 })
        );
        assert_eq!(
            judge(&manifest(1, formed(7)), &manifest(2, formed(8))).unwrap_err().to_string(),
            "the etcd cluster is 0000000000000007 and 'etcd' names 0000000000000008; a cluster's id never changes: keep \
             'formed: { clusterId: \"0000000000000007\" }'"
        );
    }

    #[test]
    fn a_recovery_gives_up_the_cluster_that_exists_and_is_followed_by_the_new_one() {
        let formed = |cluster_id| EtcdPhase::Formed { cluster_id };
        let recovery = |lost| {
            let from = "m2".parse().unwrap();
            EtcdPhase::Recovery(Recovery { lost, from, snapshot: None, expires_at: jiff::Timestamp::MAX })
        };
        let genesis = || EtcdPhase::Genesis;
        let table = [
            (formed(7), recovery(7), Ok(())),
            (genesis(), recovery(7), Ok(())),
            (formed(7), recovery(8), Err(SuccessionError::OtherLost { formed: 7, lost: 8 })),
            (recovery(7), formed(8), Ok(())),
            (recovery(7), formed(7), Ok(())),
            (recovery(7), recovery(7), Ok(())),
            (recovery(7), genesis(), Err(SuccessionError::GenesisAgain { formed: 7 })),
        ];
        for (before, after, expected) in table {
            assert_eq!(
                judge(&manifest(1, before.clone()), &manifest(2, after.clone())),
                expected,
                "{before:?} {after:?}"
            );
        }
    }

    #[test]
    fn what_is_superseded_has_to_be_what_is_in_force_when_that_can_be_told() {
        let before = manifest(1, EtcdPhase::Genesis);
        let mut after = manifest(2, EtcdPhase::Genesis);
        after.supersedes = Some(before.digest);
        assert_eq!(judge(&before, &after), Ok(()));
        after.supersedes = Some(Digest::of(b"another"));
        assert!(matches!(judge(&before, &after), Err(SuccessionError::Supersedes { .. })));
        after.generation = Generation(3);
        assert_eq!(judge(&before, &after), Ok(()), "the one between was not seen");
    }

    #[test]
    fn the_masters_are_judged_by_the_quorum_rules() {
        let before = manifest(1, EtcdPhase::Genesis);
        let mut after = manifest(2, EtcdPhase::Genesis);
        after.masters[0].address = "10.20.0.21".parse().unwrap();
        assert_eq!(judge(&before, &after), Ok(()), "one replacement");
        after.masters[1].address = "10.20.0.22".parse().unwrap();
        assert!(matches!(judge(&before, &after), Err(SuccessionError::Masters { .. })));
    }
}
