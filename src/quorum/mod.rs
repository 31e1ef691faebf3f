//! Quorum: why the number of masters is odd, and what a change of it costs.
//!
//! etcd commits a write when a majority of its voters has it. With n voters the majority is n/2 + 1, so the cluster
//! survives the loss of (n - 1)/2 of them. A fourth voter raises the majority from 2 to 3 without adding a loss that
//! may be survived: it only adds a machine that can fail. Hence odd counts.
//!
//! [`policy`] judges a count as a manifest lists it; [`membership`] judges one change to a running member list, and
//! the step from one manifest's list to the next. Both are pure; the same two functions decide on the workstation,
//! at the drop, and before every membership call.

pub mod membership;
pub mod policy;

use serde::{Deserialize, Serialize};

/// How strictly the quorum policy reads the master count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// 3 and 5 masters; 7 when acknowledged.
    Production,
    /// 1 and 2 are accepted with a warning as well.
    Test,
}

/// How many of `voters` have to agree.
pub fn quorum(voters: usize) -> usize {
    voters / 2 + 1
}

/// How many of `voters` may be lost while the rest still agrees.
pub fn tolerance(voters: usize) -> usize {
    voters.saturating_sub(quorum(voters))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quorum_and_tolerance_make_up_the_whole() {
        let table = [(0, 1, 0), (1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 3, 2), (6, 4, 2), (7, 4, 3)];
        for (voters, majority, lost) in table {
            assert_eq!((quorum(voters), tolerance(voters)), (majority, lost), "{voters} voters");
        }
    }

    #[test]
    fn two_majorities_always_share_a_voter() {
        for voters in 1..100 {
            assert!(2 * quorum(voters) > voters);
        }
    }
}
