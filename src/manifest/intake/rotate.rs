//! The intake of trust files: before any manifest is judged, whom to trust is settled.

use super::{Class, IntakeError, Mode, Refused};
use crate::ident::Digest;
use crate::journal::chain;
use crate::manifest::source::{self, Candidate};
use crate::paths::Paths;
use crate::trust::Purpose;
use crate::trust::clock::Clock;
use crate::trust::host::{self, Roots};
use crate::trust::rotation::{self, RotationError};

/// Takes up every dropped trust file that follows, and says why the others do not.
pub(super) fn rotate(
    mut roots: Roots,
    paths: &Paths,
    clock: Clock,
    mode: Mode,
) -> Result<(Roots, Vec<Refused>), IntakeError> {
    let (mut candidates, broken) = source::discover_trust(paths);
    let mut refused: Vec<Refused> = broken
        .into_iter()
        .map(|broken| Refused { origin: broken.origin, class: Class::NotTrusted, why: chain(&broken.error) })
        .collect();
    // What was accepted earlier may still lie there.
    candidates.retain(|candidate| !roots.has(Digest::of(&candidate.bytes)));
    // Several versions may have been dropped at once, in any order: each round takes up the next one.
    loop {
        let purpose = Purpose::NewInput(&clock);
        let follows = candidates.iter().enumerate().find_map(|(at, Candidate { bytes, signature, .. })| {
            rotation::succeed(&roots.current, bytes, signature, purpose).ok().map(|root| (at, root))
        });
        let Some((at, root)) = follows else { break };
        let candidate = candidates.remove(at);
        if mode == Mode::Store {
            host::keep_root(paths, root.version, &candidate.bytes, &candidate.signature)?;
        }
        roots.advance(root);
        candidates.retain(|other| other.bytes != candidate.bytes);
    }
    for Candidate { origin, bytes, signature } in candidates {
        if let Err(error) = rotation::succeed(&roots.current, &bytes, &signature, Purpose::NewInput(&clock)) {
            let class = match error {
                RotationError::Older { .. } => Class::Stale,
                RotationError::Skips { .. } | RotationError::RestartsLower { .. } => Class::Unsafe,
                RotationError::Invalid(_) | RotationError::Spoiled(_) => Class::Invalid,
                RotationError::Envelope(_) | RotationError::Old(..) | RotationError::New(_) => Class::NotTrusted,
            };
            refused.push(Refused { origin, class, why: chain(&error) });
        }
    }
    Ok((roots, refused))
}

#[cfg(test)]
mod tests {
    use super::super::tests::Host;
    use super::*;
    use crate::trust::TRUST_NAMESPACE;
    use crate::trust::tests::{key, line, sign};

    fn trust_file(version: u64, seed: u8) -> String {
        format!("kind: TrustRoot\nversion: {version}\nsigners: |\n  {}", line(&key(seed), "ops", ""))
    }

    fn drop_trust(host: &Host, version: u64, seed: u8, signers: [u8; 2], place: &str) {
        let text = trust_file(version, seed);
        let signature: String = signers.map(|seed| sign(&key(seed), TRUST_NAMESPACE, text.as_bytes())).concat();
        let path = host.root.path().join(place).join("trust.yaml");
        host.write(&path, &text);
        host.write(&path.with_extension("yaml.sig"), &signature);
    }

    #[test]
    fn a_rotation_takes_effect_before_manifests_are_judged_and_keeps_what_is_in_force() {
        let host = Host::new();
        host.drop_signed(super::super::tests::EXAMPLE, 1);
        host.run(Mode::Store);
        drop_trust(&host, 2, 2, [1, 2], "etc/quorate/drop");
        let dry = host.run(Mode::DryRun);
        assert!(!host.paths().trust_files().exists() && dry.refused.is_empty(), "{:?}", dry.refused);
        // The old key is gone: the manifest in force stays, with a note; what it signs now is refused.
        let rotated = host.run(Mode::Store);
        assert!(rotated.in_force.is_some());
        assert!(
            rotated.notes.iter().any(|note| note.contains("signed under version 1 of the trust")),
            "{:?}",
            rotated.notes
        );
        // Signed again with the new key, it needs no note any more.
        host.drop_signed(super::super::tests::EXAMPLE, 2);
        assert!(host.run(Mode::Store).notes.is_empty());
        assert!(host.run(Mode::Store).notes.is_empty());
        host.drop_signed(&super::super::tests::generation(2), 1);
        let by_old = host.run(Mode::Store);
        assert_eq!(super::super::tests::in_force(&by_old), Some(1));
        assert!(by_old.refused[0].why.contains("is not an allowed signer"), "{:?}", by_old.refused);
        host.drop_signed(&super::super::tests::generation(2), 2);
        assert_eq!(super::super::tests::in_force(&host.run(Mode::Store)), Some(2));
    }

    #[test]
    fn versions_dropped_together_are_taken_up_in_order_and_none_is_skipped() {
        let host = Host::new();
        drop_trust(&host, 3, 3, [2, 3], "run/quorate/drop");
        let alone = host.run(Mode::Store);
        assert_eq!(alone.refused[0].class, Class::NotTrusted, "{:?}", alone.refused);
        drop_trust(&host, 2, 2, [1, 2], "etc/quorate/drop");
        let both = host.run(Mode::Store);
        assert!(both.refused.is_empty(), "{:?}", both.refused);
        assert!(host.paths().trust_files().join("3.yaml").exists());
        assert!(host.run(Mode::Store).refused.is_empty(), "what was accepted may stay where it was dropped");
    }

    #[test]
    fn a_damaged_trust_file_is_not_passed_over() {
        let host = Host::new();
        drop_trust(&host, 2, 2, [1, 2], "etc/quorate/drop");
        host.run(Mode::Store);
        host.write(&host.paths().trust_files().join("2.yaml"), &trust_file(2, 1));
        assert!(
            super::super::intake(&host.paths(), crate::trust::tests::at("2026-11-22T21:00:00Z"), Mode::Store).is_err()
        );
    }
}
