//! Which etcd versions are known to mistake their own member list, and what quorate does about it: the one place.
//!
//! A version whose faults can cost the quorum or acknowledged writes by the very change that is asked for gets no change.
//! One whose faults need a further step to do harm is named, in plan and status, and changed all the same: the
//! distributions carry such versions, and a dead master that cannot be replaced is the greater risk
//! (spec/decisions/007-etcd-versions.md). What runs is started in any case. The numbers are etcd's own change logs.

/// What is known of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// No fault of its membership is known.
    Sound,
    /// It has known faults that a membership change alone does not bring out.
    Named {
        /// Which, in words that follow the name of a master.
        why: String,
    },
    /// Its membership is not changed.
    Refused {
        /// Why, in words that follow the name of a master.
        why: String,
    },
}

/// What is known of `version`, as a member tells it.
pub fn judge(version: &str) -> Verdict {
    let mut numbers = version.split(['.', '-', '+']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor)), Some(Ok(patch))) = (numbers.next(), numbers.next(), numbers.next()) else {
        return Verdict::Refused { why: format!("runs etcd '{version}', which this program does not know") };
    };
    let named = |fault: &str| Verdict::Named { why: format!("runs etcd {version}: {fault}") };
    let refused = |fault: &str| Verdict::Refused { why: format!("runs etcd {version}: {fault}") };
    match (major, minor, patch) {
        (..3, ..) | (3, ..4, _) => refused("it knows no learners; 3.5.30 and newer do"),
        (3, 4, _) => {
            named("it is no longer maintained and lists members without asking a quorum; go to 3.5.30 or newer")
        }
        (3, 5, ..3) => refused("a restart can lose acknowledged writes (etcd#13908); go to 3.5.30 or newer"),
        (3, 5, ..26) => named(
            "members that were made voters can be learners again after an upgrade to 3.6 (etcd#19557, etcd#20967); go to \
             3.5.30 or newer before",
        ),
        (3, 5, ..30) => named("a dead voter blocks every addition (etcd#16798); go to 3.5.30 or newer"),
        (3, 6, ..4) => refused("a new voter is a learner again after a restart (etcd#20340); go to 3.6.11 or newer"),
        (3, 6, ..11) => named("a dead voter blocks every addition (etcd#16798); go to 3.6.11 or newer"),
        _ => Verdict::Sound,
    }
}

/// What to say about `version` in status, if anything.
pub fn advice(version: &str) -> Option<String> {
    match judge(version) {
        Verdict::Sound => None,
        Verdict::Named { why } | Verdict::Refused { why } => Some(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fault_18_versions_are_refused_where_a_change_does_harm_and_named_where_it_takes_more() {
        for refused in ["3.5.0", "3.5.2", "3.6.0", "3.6.3", "3.3.27", "2.3.8", "", "devel", "3.5"] {
            assert!(matches!(judge(refused), Verdict::Refused { .. }), "{refused}");
        }
        for named in ["3.4.23", "3.5.3", "3.5.16", "3.5.25", "3.5.29", "3.6.4", "3.6.10"] {
            assert!(matches!(judge(named), Verdict::Named { .. }), "{named}");
        }
        for sound in ["3.5.30", "3.5.31", "3.6.11", "3.6.11+git", "3.7.0", "4.0.0"] {
            assert_eq!(judge(sound), Verdict::Sound, "{sound}");
            assert_eq!(advice(sound), None);
        }
    }
}
