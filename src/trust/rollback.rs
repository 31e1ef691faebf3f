//! Which manifest may follow which: generations only grow, and one generation has one content.
//!
//! Signatures do not age: whoever once got a signed manifest can offer it again for ever. So a host remembers the
//! highest generation it accepted, with its digest and cluster, and the image may name a generation below which
//! nothing is accepted even when that memory was wiped. The attacks are those of TUF: rollback, replay from another
//! cluster, and fast-forward (one stolen key signing the highest number, after which nothing newer exists).
//!
//! Fast-forward has one way back: a trust file that takes the stolen key away may restart the generations (TUF
//! §5.3.11). A restart forgets no more than it has to: what a key that is still trusted signed stays the mark, nothing
//! below the restart is ever accepted again, and the cluster stays pinned. [`restarted`] is that rule.

use crate::ident::{ClusterId, Digest, Generation};
use crate::yaml::read::Bounds;

/// A single key may raise the generation by this much at once. Nobody writes a thousand manifests between two that a
/// host sees; a thief would want to write the last one.
const MOST_JUMP: u64 = 1000;

/// Bounds of a generation, wherever somebody writes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenerationBounds;

impl Bounds for GenerationBounds {
    // JSON and many YAML readers keep integers exactly only up to 2^53 - 1.
    const BOUNDS: (u64, u64) = (1, (1 << 53) - 1);
    const WHAT: &'static str = "a generation";
}

/// The highest accepted manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HighWater {
    /// Of which cluster; pinned by the first manifest that was accepted.
    pub cluster_id: ClusterId,
    /// Its generation.
    pub generation: Generation,
    /// Its bytes.
    pub digest: Digest,
}

/// Where a version of the trust lets the generations start anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// The version of the trust that says so.
    pub version: u64,
    /// The least generation from then on.
    pub at: Generation,
}

/// Below what nothing is accepted, whatever this host remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Least {
    /// What the image demands.
    pub image: Generation,
    /// What the trust in force demands.
    pub restart: Option<Restart>,
}

impl Least {
    fn generation(self) -> Generation {
        self.image.max(self.restart.map_or(Generation(0), |restart| restart.at))
    }
}

/// The mark once the generations were restarted: the highest manifest that keys from the restart on still vouch for,
/// or, where there is none, just below the restart. Never above what it was, and of the same cluster.
pub fn restarted(mark: &HighWater, restart: Restart, vouched: impl IntoIterator<Item = HighWater>) -> HighWater {
    let begin = HighWater {
        cluster_id: mark.cluster_id.clone(),
        generation: Generation(restart.at.0.saturating_sub(1)),
        digest: Digest::of(b""),
    };
    let best = vouched
        .into_iter()
        .filter(|one| one.generation <= mark.generation)
        .fold(begin, |best, one| if one.generation >= best.generation { one } else { best });
    if best.generation < mark.generation { best } else { mark.clone() }
}

/// How a manifest stands to the highest accepted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is newer, or the first.
    New,
    /// It is the accepted one.
    Same,
}

/// Why a manifest may not follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RollbackError {
    /// An older generation.
    #[error(
        "generation {offered} is older than {highest}, which this host accepted; raise 'metadata.generation' above {highest}"
    )]
    Older {
        /// What came.
        offered: Generation,
        /// What was accepted.
        highest: Generation,
    },
    /// Other bytes under a generation that was accepted.
    #[error(
        "generation {generation} was accepted with other content (digest {accepted}, this is {offered}); raise \
         'metadata.generation' with every change, then sign again"
    )]
    OtherContent {
        /// The generation of both.
        generation: Generation,
        /// Digest of the accepted bytes, short.
        accepted: String,
        /// Digest of these bytes, short.
        offered: String,
    },
    /// A manifest of another cluster.
    #[error(
        "the manifest is for cluster {offered}, this host belongs to {pinned}; drop it on a host of that cluster \
         (a host changes its cluster only by being installed anew)"
    )]
    OtherCluster {
        /// The cluster in the manifest.
        offered: ClusterId,
        /// The cluster of this host.
        pinned: ClusterId,
    },
    /// Too far ahead.
    #[error(
        "generation {offered} is more than {MOST_JUMP} above {highest}: one stolen key could lock out every later \
         manifest that way; use a generation up to {}, or a trust policy with a threshold of 2", highest.0 + MOST_JUMP
    )]
    Jump {
        /// What came.
        offered: Generation,
        /// What was accepted.
        highest: Generation,
    },
    /// Below what the image demands.
    #[error("generation {offered} is below {least}, the least that this image accepts; drop the current manifest")]
    BelowImage {
        /// What came.
        offered: Generation,
        /// What the image demands.
        least: Generation,
    },
    /// Below where the trust restarted the generations.
    #[error(
        "generation {offered} is below {}, where version {} of the trust restarted the generations; raise \
         'metadata.generation' to {} or more, then sign again", restart.at, restart.version, restart.at
    )]
    BelowRestart {
        /// What came.
        offered: Generation,
        /// What the trust demands.
        restart: Restart,
    },
}

/// Whether `offered` may be accepted where `highest` was, by a host that demands `least` and `threshold` signatures.
///
/// # Errors
/// Names the rule it breaks.
pub fn admit(
    highest: Option<&HighWater>,
    offered: &HighWater,
    least: Least,
    threshold: usize,
) -> Result<Admission, RollbackError> {
    let generation = offered.generation;
    if generation < least.image {
        return Err(RollbackError::BelowImage { offered: generation, least: least.image });
    }
    if let Some(restart) = least.restart.filter(|restart| generation < restart.at) {
        return Err(RollbackError::BelowRestart { offered: generation, restart });
    }
    let Some(highest) = highest else {
        let first = least.generation().max(Generation(1));
        return within_reach(generation, first, threshold).map(|()| Admission::New);
    };
    if offered.cluster_id != highest.cluster_id {
        let (offered, pinned) = (offered.cluster_id.clone(), highest.cluster_id.clone());
        return Err(RollbackError::OtherCluster { offered, pinned });
    }
    if generation < highest.generation {
        return Err(RollbackError::Older { offered: generation, highest: highest.generation });
    }
    if generation == highest.generation {
        if offered.digest == highest.digest {
            return Ok(Admission::Same);
        }
        let (accepted, offered) = (highest.digest.short(), offered.digest.short());
        return Err(RollbackError::OtherContent { generation, accepted, offered });
    }
    // What the image or the trust demands is vouched for, so the jump counts from there.
    within_reach(generation, highest.generation.max(least.generation()), threshold).map(|()| Admission::New)
}

fn within_reach(offered: Generation, highest: Generation, threshold: usize) -> Result<(), RollbackError> {
    if threshold < 2 && offered.0.saturating_sub(highest.0) > MOST_JUMP {
        return Err(RollbackError::Jump { offered, highest });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HERE: &str = "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10";
    const ELSEWHERE: &str = "00000000-5d0e-4b8e-9a3f-6f2f7a1d9c10";

    fn mark(cluster: &str, generation: u64, content: &str) -> HighWater {
        HighWater {
            cluster_id: cluster.parse().unwrap(),
            generation: Generation(generation),
            digest: Digest::of(content.as_bytes()),
        }
    }

    fn verdict(highest: Option<&HighWater>, offered: &HighWater, least: u64, threshold: usize) -> String {
        let least = Least { image: Generation(least), restart: None };
        match admit(highest, offered, least, threshold) {
            Ok(admission) => format!("{admission:?}"),
            Err(error) => error.to_string().split(';').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn each_rule_of_the_ratchet_refuses_in_its_own_words() {
        let accepted = mark(HERE, 5, "five");
        let some = Some(&accepted);
        let table = [
            (None, mark(HERE, 1, "one"), 0, 1, "New"),
            (some, mark(HERE, 5, "five"), 0, 1, "Same"),
            (some, mark(HERE, 6, "six"), 0, 1, "New"),
            (some, mark(HERE, 4, "four"), 0, 1, "generation 4 is older than 5, which this host accepted"),
            (
                some,
                mark(HERE, 5, "FIVE"),
                0,
                1,
                "generation 5 was accepted with other content (digest 222b0bd51fce, this is b35cf1ba111b)",
            ),
            (
                some,
                mark(ELSEWHERE, 6, "six"),
                0,
                1,
                "the manifest is for cluster 00000000-5d0e-4b8e-9a3f-6f2f7a1d9c10, this host belongs to \
                 3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10",
            ),
            (some, mark(HERE, 1005, "far"), 0, 1, "New"),
            (
                some,
                mark(HERE, 1006, "too far"),
                0,
                1,
                "generation 1006 is more than 1000 above 5: one stolen key could lock out every later manifest that way",
            ),
            (some, mark(HERE, 1006, "two keys agree"), 0, 2, "New"),
            (
                None,
                mark(HERE, u64::MAX, "last"),
                0,
                1,
                "generation 18446744073709551615 is more than 1000 above 1: one stolen key could lock out every later manifest that way",
            ),
            (None, mark(HERE, 2, "two"), 3, 1, "generation 2 is below 3, the least that this image accepts"),
            (None, mark(HERE, 5000, "five thousand"), 4900, 1, "New"),
            (some, mark(HERE, 5000, "five thousand"), 4900, 1, "New"),
        ];
        for (highest, offered, least, threshold, expected) in table {
            assert_eq!(verdict(highest, &offered, least, threshold), expected);
        }
    }

    const RESTART: Restart = Restart { version: 3, at: Generation(60) };

    #[test]
    fn a_restart_forgets_what_nobody_trusted_vouches_for_and_nothing_else() {
        let driven_up = mark(HERE, 9_000, "by a thief");
        let generation = |vouched: &[u64]| {
            let vouched = vouched.iter().map(|generation| mark(HERE, *generation, "honest"));
            let after = restarted(&driven_up, RESTART, vouched);
            assert_eq!(after.cluster_id, driven_up.cluster_id, "the cluster stays pinned");
            after.generation.0
        };
        assert_eq!(generation(&[]), 59);
        assert_eq!(generation(&[3, 58]), 59, "what is below the restart is below it anyhow");
        assert_eq!(generation(&[3, 71, 58]), 71, "an honest generation above the restart is not forgotten");
        assert_eq!(generation(&[3, 9_000]), 9_000, "the mark itself is still vouched for");
        assert_eq!(generation(&[9_001]), 59, "the mark never rises");
        let low = mark(HERE, 7, "low");
        assert_eq!(restarted(&low, RESTART, []), low, "a mark below the restart stays what it is");
    }

    #[test]
    fn nothing_below_a_restart_is_accepted_and_the_jump_counts_from_it() {
        let least = Least { image: Generation(0), restart: Some(Restart { version: 3, at: Generation(5_000) }) };
        let told = |highest: Option<&HighWater>, generation: u64| {
            admit(highest, &mark(HERE, generation, "new"), least, 1).map_err(|error| error.to_string())
        };
        let before = mark(HERE, 12, "twelve");
        for highest in [None, Some(&before)] {
            assert_eq!(told(highest, 5_000), Ok(Admission::New));
            assert_eq!(told(highest, 6_000), Ok(Admission::New));
            assert!(told(highest, 6_001).unwrap_err().starts_with("generation 6001 is more than 1000 above 5000"));
            assert_eq!(
                told(highest, 4_999),
                Err("generation 4999 is below 5000, where version 3 of the trust restarted the generations; raise \
                     'metadata.generation' to 5000 or more, then sign again"
                    .into())
            );
        }
    }

    proptest! {
        /// Whatever was accepted and is still vouched for: after a restart no generation at or below it comes back.
        #[test]
        fn a_restart_opens_no_way_back(honest in proptest::collection::vec(1u64..100, 0..20), at in 1u64..120, offered in 0u64..120) {
            let driven_up = mark(HERE, 1_000, "by a thief");
            let after = restarted(&driven_up, Restart { version: 2, at: Generation(at) }, honest.iter().map(|one| mark(HERE, *one, "honest")));
            let least = Least { image: Generation(0), restart: Some(Restart { version: 2, at: Generation(at) }) };
            if admit(Some(&after), &mark(HERE, offered, "replayed"), least, 1) == Ok(Admission::New) {
                prop_assert!(offered >= at && honest.iter().all(|one| *one < offered));
            }
        }

        /// Whatever is offered in whatever order, the accepted generation never falls and never changes its content.
        #[test]
        fn the_mark_only_rises(offers in proptest::collection::vec((0u64..40, 0u8..3), 0..60)) {
            let mut highest: Option<HighWater> = None;
            for (generation, content) in offers {
                let offered = mark(HERE, generation, &content.to_string());
                if admit(highest.as_ref(), &offered, Least::default(), 1).is_ok() {
                    if let Some(before) = &highest {
                        prop_assert!(offered.generation > before.generation || offered == *before);
                    }
                    highest = Some(offered);
                }
            }
        }
    }
}
