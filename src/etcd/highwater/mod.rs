//! How far this master's member has come, noted outside its data directory, against data that went back in time.
//!
//! A member that is started on an older copy of its own data has forgotten entries and votes that the others count on (fault
//! 5): together with one more mishap, acknowledged writes are gone. So each run notes how far the member is ([`Mark`]), and
//! before a stopped member is started its log on disk ([`Log`]) has to be at least as far, and has to be its own.
//!
//! Where the mark went back together with the data, the cluster remembers a second one, which is read where the others
//! are asked anyhow; a start does not wait for that (spec/etcd.md says what is left).

pub mod mark;

use super::LocalStatus;
use super::wal::tail::Log;
use serde::{Deserialize, Serialize};

/// How far a member was seen to be. What is applied is in its log on disk before, so a log that ends earlier has lost it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Mark {
    /// The etcd cluster.
    pub cluster: u64,
    /// The member.
    pub member: u64,
    /// Its raft term.
    pub term: u64,
    /// The index of the last entry that it had applied.
    pub applied: u64,
}

impl Mark {
    /// What `status` shows.
    pub fn of(status: &LocalStatus) -> Self {
        let LocalStatus { cluster, member, term, applied, .. } = *status;
        Self { cluster, member, term, applied }
    }
}

/// What is known of the past of this master's data; looked at only while etcd is stopped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The mark, if there is one that can be read. Without it nothing is compared.
    pub mark: Option<Mark>,
    /// The log on disk, if it could be read. etcd judges a damaged one by itself.
    pub log: Option<Log>,
}

/// What is wrong with the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is another member's, or of another cluster.
    NotItsOwn {
        /// Which.
        why: String,
    },
    /// It is older than it was.
    WentBack {
        /// By how much.
        why: String,
    },
}

/// Whether the data can be that of member `member` of etcd cluster `cluster`, as far as it has come by its own mark and by the
/// one that the cluster `remembers`.
pub fn judge(seen: &Seen, remembers: Option<&Mark>, cluster: u64, member: u64) -> Option<Fault> {
    let log = seen.log.as_ref()?;
    if (log.cluster, log.member) != (cluster, member) {
        let why = format!(
            "the data is that of member {:x} of etcd cluster {:x}, this master is member {member:x} of {cluster:x}",
            log.member, log.cluster
        );
        return Some(Fault::NotItsOwn { why });
    }
    let marks = seen.mark.as_ref().into_iter().chain(remembers);
    let mut ahead = marks.filter(|mark| {
        (mark.cluster, mark.member) == (cluster, member) && (log.last < mark.applied || log.term < mark.term)
    });
    ahead.next().map(|mark| Fault::WentBack {
        why: format!(
            "the data went back in time: its log ends at entry {} of term {}, and this member was at entry {} of term {}",
            log.last, log.term, mark.applied, mark.term
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_started_only_as_its_own_and_as_far_as_it_was() {
        let log = |cluster, member, term, last| Some(Log { cluster, member, term, commit: last, last });
        let mark = |term, applied| Some(Mark { cluster: 1, member: 2, term, applied });
        let table = [
            ("nothing known", None, None, None),
            ("no log read", None, mark(3, 100), None),
            ("no mark", log(1, 2, 1, 1), None, None),
            ("as far", log(1, 2, 3, 100), mark(3, 100), None),
            ("further", log(1, 2, 4, 101), mark(3, 100), None),
            ("an entry less", log(1, 2, 3, 99), mark(3, 100), Some("back")),
            ("an older term", log(1, 2, 2, 100), mark(3, 100), Some("back")),
            ("another member", log(1, 3, 3, 100), mark(3, 100), Some("other")),
            ("another cluster", log(7, 2, 3, 100), None, Some("other")),
        ];
        for (what, log, mark, expected) in table {
            let word = |fault: Fault| match fault {
                Fault::NotItsOwn { .. } => "other",
                Fault::WentBack { .. } => "back",
            };
            assert_eq!(judge(&Seen { mark, log }, None, 1, 2).map(word), expected, "{what}");
            assert_eq!(judge(&Seen { mark: None, log }, mark.as_ref(), 1, 2).map(word), expected, "{what}, remembered");
        }
        let former = Some(Mark { cluster: 1, member: 9, term: 30, applied: 1000 });
        assert_eq!(
            judge(&Seen { mark: former, log: log(1, 2, 3, 1) }, former.as_ref(), 1, 2),
            None,
            "a former membership counts no more"
        );
    }
}
