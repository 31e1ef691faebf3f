//! Which numbers of masters are accepted: the one function that every refusal of a count goes back to.
//!
//! `check`, `sign`, `plan` and `reconcile` all reach [`judge`] through the manifest parser, so a count that was
//! refused on the workstation cannot be accepted on a host, nor the other way round. There is no flag to overrule it:
//! an exception is a signed field of the manifest, [`Acknowledgements`].

use super::{Environment, quorum, tolerance};
use crate::ident::Generation;
use serde::Serialize;
use std::fmt;

/// etcd's own ceiling: beyond seven, every write waits for more disks than it gains in safety (etcd FAQ).
pub const MOST_MASTERS: usize = 7;

/// Risks that the signer of a manifest took knowingly, `spec.acknowledge`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Acknowledgements {
    /// `sevenMasters`: seven masters and the slower writes that come with them.
    pub seven_masters: bool,
    /// `evenMastersUntil`: an even count in production, up to and including this generation.
    pub even_masters_until: Option<Generation>,
    /// `singleMasterRemains`: shrinking to one master, which can never grow again.
    pub single_master_remains: bool,
}

/// What the policy says of a number of masters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "camelCase")]
pub enum Verdict {
    /// As it should be.
    Accepted,
    /// Accepted because the manifest says so or because it is a test; the risk is named.
    AcceptedWithWarning {
        /// The risk.
        why: String,
    },
    /// Not accepted.
    Refused {
        /// What it would cost.
        why: String,
        /// What to write instead.
        instead: String,
    },
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Accepted => "accepted",
            Verdict::AcceptedWithWarning { .. } => "accepted with a warning",
            Verdict::Refused { .. } => "refused",
        })
    }
}

/// Judges the number of masters of the manifest of `generation`.
pub fn judge(
    count: usize,
    environment: Environment,
    generation: Generation,
    acknowledged: &Acknowledgements,
) -> Verdict {
    let refused = |why: String, instead: &str| Verdict::Refused { why, instead: instead.to_owned() };
    let warned = |why: String| Verdict::AcceptedWithWarning { why };
    match (count, environment) {
        (0, _) => refused("a cluster without masters has no quorum".into(), "list 3 masters"),
        (8.., _) => refused(
            format!("with {count} masters every write waits for {}; etcd's ceiling is {MOST_MASTERS}", quorum(count)),
            "list 5 masters, which survive the loss of 2",
        ),
        (3 | 5, _) => Verdict::Accepted,
        (7, _) if acknowledged.seven_masters => {
            warned("7 masters survive the loss of 3, and every write waits for 4 of them (acknowledged)".into())
        }
        (7, _) => refused(
            "with 7 masters every write waits for 4 of them, at etcd's ceiling; 5 survive the loss of 2".into(),
            "list 5 masters, or write 'acknowledge: { sevenMasters: true }' under 'spec'",
        ),
        (1, Environment::Test) => {
            warned("a single master tolerates no loss, and a cluster created with one is never grown".into())
        }
        (2, Environment::Test) => warned(
            "2 masters tolerate no loss: when either is down the cluster stops, twice as likely as with 1".into(),
        ),
        (1, Environment::Production) => refused(
            "a single master tolerates no loss, and a cluster created with one can never grow".into(),
            "list 3 masters; for a trial write 'environment: test'",
        ),
        // What is left is even.
        _ => match acknowledged.even_masters_until {
            Some(last) if generation <= last => {
                warned(format!("{} (acknowledged until generation {last})", even(count)))
            }
            Some(last) => refused(
                format!("{}; its acknowledgement ended with generation {last}", even(count)),
                odd_instead(count),
            ),
            None => refused(even(count), odd_instead(count)),
        },
    }
}

/// Why an even count is worse than the odd one below it.
fn even(count: usize) -> String {
    match count {
        2 => "2 masters tolerate no loss, as 1 does, and either of them stops the cluster".into(),
        _ => format!(
            "{count} masters tolerate the loss of {}, no more than {} do, and need {} of {count} to agree",
            tolerance(count),
            count - 1,
            quorum(count)
        ),
    }
}

fn odd_instead(count: usize) -> &'static str {
    match count {
        2 => "list 3 masters; for a trial write 'environment: test'",
        4 => "list 3 or 5 masters",
        _ => "list 5 masters",
    }
}

/// One row of the tolerance table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// The count.
    pub masters: usize,
    /// How many have to agree.
    pub quorum: usize,
    /// How many may be lost.
    pub may_be_lost: usize,
    /// The verdict in production, nothing acknowledged.
    pub production: Verdict,
    /// The verdict in `environment: test`, nothing acknowledged.
    pub test: Verdict,
}

impl Row {
    /// Why, and what to do instead, in one line.
    pub fn note(&self) -> String {
        match &self.production {
            Verdict::Accepted => match self.may_be_lost {
                1 => "any one master may fail or be taken down for work".into(),
                lost => format!("any {lost} masters may fail, so one may be down for work while another fails"),
            },
            Verdict::AcceptedWithWarning { why } => why.clone(),
            Verdict::Refused { why, instead } => format!("{why}: {instead}"),
        }
    }
}

/// The row for `masters`, with nothing acknowledged.
pub fn row(masters: usize) -> Row {
    let verdict = |environment| judge(masters, environment, Generation(1), &Acknowledgements::default());
    Row {
        masters,
        // Nobody can agree where nobody is.
        quorum: if masters == 0 { 0 } else { quorum(masters) },
        may_be_lost: tolerance(masters),
        production: verdict(Environment::Production),
        test: verdict(Environment::Test),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(count: usize, environment: Environment, acknowledged: &Acknowledgements) -> String {
        judge(count, environment, Generation(4), acknowledged).to_string()
    }

    #[test]
    fn the_table_of_counts_is_the_policy() {
        let warned = "accepted with a warning";
        let table = [
            (0, "refused", "refused"),
            (1, "refused", warned),
            (2, "refused", warned),
            (3, "accepted", "accepted"),
            (4, "refused", "refused"),
            (5, "accepted", "accepted"),
            (6, "refused", "refused"),
            (7, "refused", "refused"),
            (8, "refused", "refused"),
            (9, "refused", "refused"),
            (usize::MAX, "refused", "refused"),
        ];
        for (count, production, test) in table {
            let nothing = Acknowledgements::default();
            assert_eq!(verdict(count, Environment::Production, &nothing), production, "{count} in production");
            assert_eq!(verdict(count, Environment::Test, &nothing), test, "{count} in a test");
        }
    }

    #[test]
    fn seven_masters_need_their_acknowledgement_and_nothing_else_is_covered_by_it() {
        let seven = Acknowledgements { seven_masters: true, ..Default::default() };
        assert_eq!(verdict(7, Environment::Production, &seven), "accepted with a warning");
        for count in [0, 1, 2, 4, 6, 8] {
            assert_eq!(verdict(count, Environment::Production, &seven), "refused", "{count}");
        }
    }

    #[test]
    fn an_even_count_is_acknowledged_for_a_limited_number_of_generations() {
        for (last, expected) in [(3, "refused"), (4, "accepted with a warning"), (5, "accepted with a warning")] {
            let even = Acknowledgements { even_masters_until: Some(Generation(last)), ..Default::default() };
            assert_eq!(verdict(4, Environment::Production, &even), expected, "until {last}");
            assert_eq!(verdict(1, Environment::Production, &even), "refused", "one is odd");
            assert_eq!(verdict(8, Environment::Production, &even), "refused", "beyond the ceiling");
        }
    }

    #[test]
    fn every_refusal_says_what_to_write_instead() {
        for count in 0..20 {
            for environment in [Environment::Production, Environment::Test] {
                if let Verdict::Refused { why, instead } =
                    judge(count, environment, Generation(1), &Acknowledgements::default())
                {
                    assert!(!why.is_empty() && instead.contains("list"), "{count}: {instead}");
                }
            }
        }
    }
}
