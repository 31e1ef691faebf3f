//! The mark that every offer is held against: the one on disk, as a crash or a restart of the generations leaves it.

use super::Kept;
use crate::manifest::Manifest;
use crate::paths::Paths;
use crate::trust::host::Roots;
use crate::trust::rollback::{HighWater, Restart, restarted};
use crate::trust::store::{self, Accepted, Mark, StoreError};
use crate::trust::{self, Purpose};

/// The highest generation that counts.
pub(super) fn highest(paths: &Paths, roots: &Roots, kept: Option<&Kept>) -> Result<Option<HighWater>, StoreError> {
    let mark = store::high_water(paths)?;
    // What was accepted before a restart is in force without counting any more.
    let since = roots.current.restart.map_or(0, |restart| restart.version);
    let in_force =
        kept.filter(|kept| kept.trust_version >= since).map(|kept| kept.in_force.manifest.get()).map(Manifest::mark);
    let mark = match (mark, roots.current.restart) {
        (Some(Mark { highest, trust_version }), Some(restart)) if trust_version < restart.version => {
            Some(restarted(&highest, restart, vouched(paths, roots, restart, &highest)?))
        }
        (mark, _) => mark.map(|mark| mark.highest),
    };
    Ok(match (mark, in_force) {
        // A run that was killed between switching and writing leaves a mark that is too low.
        (Some(mark), Some(in_force)) if in_force.generation > mark.generation => Some(in_force),
        (mark, in_force) => mark.or(in_force),
    })
}

/// What this host accepted and keys from the restart on still vouch for. What cannot be read may be among it.
fn vouched(paths: &Paths, roots: &Roots, restart: Restart, mark: &HighWater) -> Result<Vec<HighWater>, StoreError> {
    let accepted = store::accepted(paths)?;
    let still = |one: &Accepted| {
        one.stored.as_ref().is_none_or(|stored| {
            roots.since(restart.version).any(|root| {
                trust::verify(stored.bytes.clone(), &stored.signature, &root.keyring, Purpose::InForce).is_ok()
            })
        })
    };
    let cluster = || mark.cluster_id.clone();
    let mut list: Vec<HighWater> = accepted
        .iter()
        .filter(|one| still(one))
        .map(|one| HighWater { cluster_id: cluster(), generation: one.generation, digest: one.digest })
        .collect();
    if !accepted.iter().any(|one| one.digest == mark.digest) {
        list.push(mark.clone());
    }
    Ok(list)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Host, generation, in_force};
    use super::super::{Class, Mode};
    use crate::trust::TRUST_NAMESPACE;
    use crate::trust::tests::{key, line, sign};
    use std::fs;

    const OURS: u8 = 1;
    const STOLEN: u8 = 2;
    const NEW: u8 = 3;

    /// A host that trusted two keys, one of which was stolen and drove the generation up from 5 by two jumps.
    fn driven_up() -> Host {
        let host = Host::new();
        let both = line(&key(OURS), "ours", "") + &line(&key(STOLEN), "stolen", "");
        host.write(&host.paths().allowed_signers(), &both);
        for (number, by) in [(1, OURS), (5, OURS), (1005, STOLEN), (2005, STOLEN)] {
            host.drop_signed(&generation(number), by);
            assert_eq!(in_force(&host.run(Mode::Store)), Some(number));
        }
        host
    }

    /// Drops the version that takes the stolen key away, signed by both thresholds.
    fn take_away(host: &Host, version: u64, keys: &[u8], restart: &str) {
        let lines: String = keys.iter().map(|seed| format!("  {}", line(&key(*seed), "ops", ""))).collect();
        let text = format!("kind: TrustRoot\nversion: {version}\n{restart}signers: |\n{lines}");
        let signature: String = [OURS, keys[0]].map(|seed| sign(&key(seed), TRUST_NAMESPACE, text.as_bytes())).concat();
        let path = host.paths().etc_drop().join("trust.yaml");
        host.write(&path, &text);
        host.write(&path.with_extension("yaml.sig"), &signature);
    }

    #[test]
    fn a_restart_lets_the_generations_go_on_where_honest_keys_left_them() {
        let host = driven_up();
        take_away(&host, 2, &[OURS], "restartGenerationsAt: 6\n");
        host.drop_signed(&generation(6), OURS);
        let restarted = host.run(Mode::Store);
        assert_eq!(in_force(&restarted), Some(6), "{:?}", restarted.refused);
        // Once: the mark is 6 now, and what was signed before is as old as ever.
        host.drop_signed(&generation(7), OURS);
        assert_eq!(in_force(&host.run(Mode::Store)), Some(7));
        for (number, by, why) in [
            (5, OURS, "is below 6, where version 2 of the trust restarted"),
            (6, OURS, "is older than 7"),
            (2005, STOLEN, "is not an allowed signer"),
            (2005, OURS, "more than 1000 above 7"),
        ] {
            host.drop_signed(&generation(number), by);
            let refused = host.run(Mode::Store);
            assert_eq!(in_force(&refused), Some(7));
            assert!(refused.refused[0].why.contains(why), "{number} by {by}: {:?}", refused.refused);
        }
    }

    #[test]
    fn without_a_restart_a_rotation_leaves_the_mark_where_it_is() {
        let host = driven_up();
        take_away(&host, 2, &[OURS], "");
        host.drop_signed(&generation(6), OURS);
        let refused = host.run(Mode::Store);
        assert_eq!(in_force(&refused), Some(2005));
        assert_eq!(refused.refused[0].class, Class::Stale);
    }

    #[test]
    fn a_restart_that_begins_too_low_forgets_no_honest_generation() {
        let host = driven_up();
        take_away(&host, 2, &[OURS], "restartGenerationsAt: 2\n");
        // 5 is the last that an honest key signed: it may come back, and nothing before it.
        for (number, expected) in [(3, 2005), (4, 2005), (5, 5), (4, 5), (6, 6)] {
            host.drop_signed(&generation(number), OURS);
            assert_eq!(in_force(&host.run(Mode::Store)), Some(expected), "{number}");
        }
    }

    #[test]
    fn a_restart_without_taking_the_key_away_restarts_nothing() {
        let host = driven_up();
        take_away(&host, 2, &[OURS, STOLEN], "restartGenerationsAt: 6\n");
        host.drop_signed(&generation(6), OURS);
        assert_eq!(in_force(&host.run(Mode::Store)), Some(2005));
    }

    #[test]
    fn a_restart_keeps_the_cluster_pinned_and_the_masters_as_they_are() {
        let host = driven_up();
        take_away(&host, 2, &[OURS], "restartGenerationsAt: 6\n");
        host.drop_signed(&generation(6).replace("3f0c6a52", "00000000"), OURS);
        assert!(host.run(Mode::Store).refused[0].why.contains("the manifest is for cluster 00000000"));
        for number in [5, 6] {
            host.drop_signed(&generation(number).replace("10.20.0.13", "10.20.0.23"), OURS);
            let refused = host.run(Mode::Store);
            assert_eq!((in_force(&refused), refused.refused.len()), (Some(2005), 1), "{:?}", refused.refused);
        }
        assert!(host.run(Mode::Store).refused[0].why.contains("'m3' is moved to another address at once"));
    }

    #[test]
    fn what_cannot_be_read_is_not_forgotten() {
        let host = driven_up();
        let digest = crate::ident::Digest::of(generation(2005).as_bytes());
        host.write(&host.paths().manifests().join(format!("2005-{digest}/manifest.yaml")), "damaged");
        take_away(&host, 2, &[OURS], "restartGenerationsAt: 6\n");
        host.drop_signed(&generation(6), OURS);
        let kept = host.run(Mode::Store);
        assert!(kept.in_force.is_none());
        assert!(kept.refused.iter().any(|refused| refused.why.contains("is older than 2005")), "{:?}", kept.refused);
    }

    #[test]
    fn a_run_killed_during_a_restart_is_finished_by_the_next() {
        let host = driven_up();
        let mark_before = fs::read(host.paths().ratchet()).unwrap();
        take_away(&host, 2, &[NEW], "restartGenerationsAt: 6\n");
        host.drop_signed(&generation(6), NEW);
        assert_eq!(in_force(&host.run(Mode::Store)), Some(6));
        // Killed after switching, before the mark was written.
        fs::write(host.paths().ratchet(), mark_before).unwrap();
        assert_eq!(in_force(&host.run(Mode::Store)), Some(6));
        host.drop_signed(&generation(7), NEW);
        assert_eq!(in_force(&host.run(Mode::Store)), Some(7));
    }

    #[test]
    fn an_image_restarts_the_generations_as_a_trust_file_does() {
        let host = driven_up();
        host.write(&host.paths().allowed_signers(), &line(&key(OURS), "ours", ""));
        host.write(&host.paths().trust_policy(), "version: 2\nrestartGenerationsAt: 6\n");
        host.drop_signed(&generation(6), OURS);
        let restarted = host.run(Mode::Store);
        assert_eq!(in_force(&restarted), Some(6), "{:?}", restarted.refused);
    }
}
