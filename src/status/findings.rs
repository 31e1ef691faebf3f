//! What a status document means: how bad it is, why, and what somebody on call does about it.
//!
//! The screen, the page, the exit code and `--json` all show these findings, so that none of them can disagree.
//! Pure: the document and the time of reading go in. A finding names a cause before its effects, and every finding
//! has a remedy; it never guesses what the document does not say.

mod cluster;
mod host;

pub use host::is_stale;

use super::{Phase, Status, elapsed};
use crate::plan::{Hold, Part};
use jiff::Timestamp;
use serde::Serialize;
use std::fmt;

/// How the cluster stands as seen from one host, from well to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As desired, and whole.
    Fine,
    /// A run is at work.
    Converging,
    /// Something named is on its way.
    Waiting,
    /// It works, with less in reserve than it should have.
    Degraded,
    /// Something was refused; it stays so until somebody changes something.
    Refused,
    /// A step failed, or a file system is full.
    Failed,
    /// No quorum, or nobody answers for the VIP.
    Down,
    /// The document is too old to say anything.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Fine => "fine",
            Verdict::Converging => "converging",
            Verdict::Waiting => "waiting",
            Verdict::Degraded => "degraded",
            Verdict::Refused => "refused",
            Verdict::Failed => "failed",
            Verdict::Down => "down",
            Verdict::Unknown => "unknown",
        })
    }
}

/// One thing to know or to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is; [`Verdict::Fine`] is worth knowing and changes no exit code.
    pub verdict: Verdict,
    /// The part it concerns; none for the host as a whole.
    pub part: Option<Part>,
    /// The fact, as a sentence without its end.
    pub what: String,
    /// What is known of its cause.
    pub why: String,
    /// What an administrator does; while waiting or converging, what is awaited.
    pub remedy: String,
}

/// The document with what it means: what `quorate status --json` prints.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account<'a> {
    /// What it amounts to.
    pub verdict: Verdict,
    /// How old the document is.
    pub age_seconds: i64,
    /// Worst first.
    pub findings: Vec<Finding>,
    /// The document as reconcile wrote it.
    #[serde(flatten)]
    pub status: &'a Status,
}

impl<'a> Account<'a> {
    /// The account of `status` for somebody who reads it `now`.
    pub fn new(status: &'a Status, now: Timestamp) -> Self {
        Self {
            verdict: verdict(status, now),
            age_seconds: elapsed::seconds(status.at, now),
            findings: findings(status, now),
            status,
        }
    }
}

/// What the whole document amounts to.
pub fn verdict(status: &Status, now: Timestamp) -> Verdict {
    let phase = match status.phase {
        Phase::Converged => Verdict::Fine,
        Phase::Converging => Verdict::Converging,
        Phase::NoManifest | Phase::Waiting => Verdict::Waiting,
        Phase::Refused => Verdict::Refused,
        Phase::Failed => Verdict::Failed,
    };
    findings(status, now).iter().map(|finding| finding.verdict).fold(phase, Verdict::max)
}

/// Everything worth saying, worst first; among equals the cause comes before its effects.
pub fn findings(status: &Status, now: Timestamp) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(host::stale(status, now));
    // Before what fails because of it.
    host::storage(status, &mut found);
    host::failed(status, &mut found);
    host::certificates(status, now, &mut found);
    host::refused_drops(status, &mut found);
    host::blocked(status, Hold::Refused, &mut found);
    found.extend(cluster::etcd(status));
    found.extend(cluster::vip(status));
    cluster::masters(status, &mut found);
    cluster::generations(status, &mut found);
    found.extend(cluster::reserve(status));
    cluster::probes(status, &mut found);
    host::blocked(status, Hold::Waiting, &mut found);
    found.extend(host::no_manifest(status));
    host::warnings(status, &mut found);
    // Stable: the order above stays among equals.
    found.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    found
}
