//! Which manifest may follow which: generations only grow, and one generation has one content.
//!
//! Signatures do not age: whoever once got a signed manifest can offer it again for ever. So a host remembers the
//! highest generation it accepted, with its digest and cluster, and the image may name a generation below which
//! nothing is accepted even when that memory was wiped. The attacks are those of TUF: rollback, replay from another
//! cluster, and fast-forward (one stolen key signing the highest number, after which nothing newer exists).

use crate::ident::{ClusterId, Digest, Generation};
use serde::{Deserialize, Serialize};

/// A single key may raise the generation by this much at once. Nobody writes a thousand manifests between two that a
/// host sees; a thief would want to write the last one.
const MOST_JUMP: u64 = 1000;

/// The highest accepted manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct HighWater {
    /// Of which cluster; pinned by the first manifest that was accepted.
    pub cluster_id: ClusterId,
    /// Its generation.
    pub generation: Generation,
    /// Its bytes.
    pub digest: Digest,
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
}

/// Whether `offered` may be accepted where `highest` was, by an image that demands `least` and `threshold` signatures.
///
/// # Errors
/// Names the rule it breaks.
pub fn admit(
    highest: Option<&HighWater>,
    offered: &HighWater,
    least: Generation,
    threshold: usize,
) -> Result<Admission, RollbackError> {
    let generation = offered.generation;
    if generation < least {
        return Err(RollbackError::BelowImage { offered: generation, least });
    }
    let Some(highest) = highest else {
        return within_reach(generation, Generation(least.0.max(1)), threshold).map(|()| Admission::New);
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
    within_reach(generation, highest.generation, threshold).map(|()| Admission::New)
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
        match admit(highest, offered, Generation(least), threshold) {
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
        ];
        for (highest, offered, least, threshold, expected) in table {
            assert_eq!(verdict(highest, &offered, least, threshold), expected);
        }
    }

    proptest! {
        /// Whatever is offered in whatever order, the accepted generation never falls and never changes its content.
        #[test]
        fn the_mark_only_rises(offers in proptest::collection::vec((0u64..40, 0u8..3), 0..60)) {
            let mut highest: Option<HighWater> = None;
            for (generation, content) in offers {
                let offered = mark(HERE, generation, &content.to_string());
                if admit(highest.as_ref(), &offered, Generation(0), 1).is_ok() {
                    if let Some(before) = &highest {
                        prop_assert!(offered.generation > before.generation || offered == *before);
                    }
                    highest = Some(offered);
                }
            }
        }
    }
}
