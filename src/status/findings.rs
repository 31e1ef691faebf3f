//! What a status document means: how bad it is, why, and what somebody on call does about it.
//!
//! The screen, the page, the exit code and `--json` all show these findings, so that none of them can disagree.
//! Pure: the document and the time of reading go in. A finding names a cause before its effects, and every finding
//! has a remedy; it never guesses what the document does not say.

use super::{Certificate, EtcdStatus, Health, MemberRole, Phase, Status, VrrpRole, elapsed};
use crate::plan::{Hold, Part};
use crate::quorum;
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
    /// A step failed.
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
    found.extend(stale(status, now));
    failed(status, &mut found);
    certificates(status, now, &mut found);
    refused_drops(status, &mut found);
    blocked(status, Hold::Refused, &mut found);
    found.extend(etcd(status));
    found.extend(vip(status));
    masters(status, &mut found);
    found.extend(reserve(status));
    probes(status, &mut found);
    blocked(status, Hold::Waiting, &mut found);
    found.extend(no_manifest(status));
    warnings(status, &mut found);
    // Stable: the order above stays among equals.
    found.sort_by_key(|finding| std::cmp::Reverse(finding.verdict));
    found
}

/// A document older than this was not renewed: three times what the timer and a run may take (a test reads
/// `quorate-reconcile.timer`).
const STALE_AFTER_S: i64 = 180;

/// Whether the document is too old to be believed. One that says what is under way, and until when, speaks for the
/// whole of that time: a wait with nothing new to tell does not rewrite it.
pub fn is_stale(status: &Status, now: Timestamp) -> bool {
    let deadline = status.activity.as_ref().and_then(|activity| activity.deadline);
    let spoken_for = deadline.map_or(status.at, |deadline| deadline.max(status.at));
    elapsed::seconds(spoken_for, now) > STALE_AFTER_S
}

fn stale(status: &Status, now: Timestamp) -> Option<Finding> {
    let age_s = elapsed::seconds(status.at, now);
    is_stale(status, now).then(|| Finding {
        verdict: Verdict::Unknown,
        part: None,
        what: format!("reconcile has not reported for {}", elapsed::words(age_s)),
        why: "its timer comes at least once a minute; everything else on this screen is as old as that".into(),
        remedy: "'systemctl status quorate-reconcile.timer quorate-reconcile.service', \
                 then 'journalctl -u quorate-reconcile -n 50'"
            .into(),
    })
}

fn failed(status: &Status, found: &mut Vec<Finding>) {
    found.extend(status.failed.iter().map(|failed| Finding {
        verdict: Verdict::Failed,
        part: None,
        what: failed.step.clone(),
        why: failed.error.clone(),
        remedy: format!("{}; the next run tries again by itself, 'quorate reconcile' at once", cure(&failed.error)),
    }));
}

/// What helps against an error of the host itself, by the kernel's words for it.
fn cure(error: &str) -> &'static str {
    const CURES: [(&str, &str); 4] = [
        ("No space left on device", "free space on that file system ('df -h', 'df -i')"),
        ("Read-only file system", "make that file system writable ('findmnt', 'dmesg' for why it is not)"),
        ("Permission denied", "see what confines quorate ('systemctl cat quorate-reconcile')"),
        ("Input/output error", "replace the storage ('dmesg')"),
    ];
    CURES.iter().find(|(words, _)| error.contains(words)).map_or("remove the cause", |(_, cure)| cure)
}

/// With fewer days than this left, the reserve for a missed renewal is used up.
const RENEW_NOW_DAYS: i64 = 7;
/// From here on the screen reminds; one month covers a holiday.
const RENEW_SOON_DAYS: i64 = 30;

fn certificates(status: &Status, now: Timestamp, found: &mut Vec<Finding>) {
    for seen in &status.certificates {
        let days = elapsed::days_until(seen.not_after, now);
        let (name, remedy) = match seen.certificate {
            Certificate::Node => (
                "this master's certificate",
                "'quorate pki issue' where the cluster CA is kept, then drop the new node.pem here",
            ),
            Certificate::ClusterCa => ("the cluster CA", "plan its replacement: 'quorate help trust'"),
        };
        let (verdict, what, why) = match days {
            ..0 => (
                Verdict::Down,
                format!("{name} has expired"),
                "peers and clients refuse it; etcd members no longer reach each other with it",
            ),
            0..RENEW_NOW_DAYS => (
                Verdict::Degraded,
                format!("{name} expires in {}", left(days)),
                "without it this master drops out of etcd",
            ),
            RENEW_NOW_DAYS..RENEW_SOON_DAYS => (
                Verdict::Fine,
                format!("{name} expires in {}", left(days)),
                "there is time to renew it in office hours",
            ),
            _ => continue,
        };
        let why = format!("valid until {}; {why}", seen.not_after);
        found.push(Finding { verdict, part: Some(Part::Pki), what, why, remedy: remedy.into() });
    }
}

fn left(days: i64) -> String {
    match days {
        0 => "less than a day".into(),
        1 => "1 day".into(),
        days => format!("{days} days"),
    }
}

fn refused_drops(status: &Status, found: &mut Vec<Finding>) {
    let force = match &status.manifest {
        Some(manifest) => format!("generation {} stays in force", manifest.generation),
        None => "no manifest is in force".into(),
    };
    found.extend(status.refused_drops.iter().map(|drop| Finding {
        verdict: Verdict::Refused,
        part: Some(Part::Manifest),
        what: format!("the manifest dropped in {} is refused; {force}", drop.origin),
        why: drop.why.clone(),
        remedy: "correct it ('quorate check FILE'), sign it again and replace the drop, or remove the drop".into(),
    }));
}

fn blocked(status: &Status, hold: Hold, found: &mut Vec<Finding>) {
    let verdict = match hold {
        Hold::Waiting => Verdict::Waiting,
        Hold::Refused => Verdict::Refused,
    };
    found.extend(status.blocked.iter().filter(|blocked| blocked.hold == hold).map(|blocked| Finding {
        verdict,
        part: Some(blocked.part),
        what: blocked.what.clone(),
        why: blocked.why.clone(),
        remedy: blocked.unblock.clone(),
    }));
}

fn etcd(status: &Status) -> Option<Finding> {
    let finding = |verdict, what: &str, why: &str, remedy: String| {
        Some(Finding { verdict, part: Some(Part::Etcd), what: what.into(), why: why.into(), remedy })
    };
    match &status.etcd {
        EtcdStatus::Unformed | EtcdStatus::Quorate { .. } => None,
        EtcdStatus::NoQuorum { why } => {
            let all = status.masters.len();
            finding(
                Verdict::Down,
                "etcd has no quorum",
                &format!("{why}; without it the API server can neither write nor read consistently"),
                format!(
                    "bring masters back until {} of {all} run etcd; nothing is lost meanwhile. \
                     Beyond repair: 'quorate help recovery'",
                    quorum::quorum(all)
                ),
            )
        }
        // Before there is a manifest there is no cluster to know anything of.
        EtcdStatus::Unknown { .. } if status.manifest.is_none() => None,
        EtcdStatus::Unknown { .. } if is_told(status) => None,
        EtcdStatus::Unknown { why } => finding(
            Verdict::Degraded,
            "the state of etcd is not known from here",
            why,
            "'quorate status' on another master; here 'systemctl status quorate-etcd'".into(),
        ),
    }
}

/// Whether the run under way, or its plan, already says what etcd waits for.
fn is_told(status: &Status) -> bool {
    status.activity.is_some() || status.blocked.iter().any(|blocked| blocked.part == Part::Etcd)
}

fn vip(status: &Status) -> Option<Finding> {
    let vip = status.vip.as_ref()?;
    if vip.active.is_some() {
        return None;
    }
    let here = status.masters.iter().find(|master| Some(&master.name) == status.host.as_ref());
    let planned = status.blocked.iter().any(|blocked| matches!(blocked.part, Part::Network | Part::Vrrp));
    let (verdict, what, why) = match here.map(|master| master.vrrp) {
        Some(VrrpRole::Initialize) => (
            Verdict::Degraded,
            "this master cannot take part in the virtual router",
            "its link or its address is missing; another master may well be active",
        ),
        Some(VrrpRole::Active | VrrpRole::Backup) => {
            (Verdict::Down, "nobody is known to answer for the VIP", "no advertisement was heard")
        }
        // The plan says why the daemon is not there.
        Some(VrrpRole::Unknown) | None if planned => return None,
        Some(VrrpRole::Unknown) | None => (
            Verdict::Degraded,
            "who answers for the VIP is not known from here",
            "the VRRP daemon of this host says nothing",
        ),
    };
    Some(Finding {
        verdict,
        part: Some(Part::Vrrp),
        what: what.into(),
        why: why.into(),
        remedy: "'systemctl status quorate-vrrpd' here; between masters IP protocol 112 has to pass".into(),
    })
}

fn masters(status: &Status, found: &mut Vec<Finding>) {
    let answering_is_due = match &status.etcd {
        // There is no member yet that could answer; the plan names the masters it waits for.
        EtcdStatus::Unformed => false,
        EtcdStatus::Unknown { .. } => !is_told(status),
        EtcdStatus::Quorate { .. } | EtcdStatus::NoQuorum { .. } => true,
    };
    if !answering_is_due {
        return;
    }
    for master in &status.masters {
        let name = &master.name;
        let here = Some(name) == status.host.as_ref();
        let (verdict, what, why, remedy) = match (master.member, master.health) {
            (MemberRole::Learner, Health::Healthy) => (
                Verdict::Converging,
                format!("{name} is catching up"),
                "it receives the log as a learner and has no vote yet".to_owned(),
                "it has caught up; then it is made a voter by itself".to_owned(),
            ),
            (MemberRole::Absent, _) => (
                Verdict::Degraded,
                format!("{name} is not a member of etcd"),
                "the member list, read with quorum, does not have it".to_owned(),
                format!(
                    "{name} joins by itself once it runs with this manifest: 'quorate status' there says what it waits for"
                ),
            ),
            (_, Health::Unhealthy) if here => (
                Verdict::Degraded,
                "the etcd member of this host does not answer".to_owned(),
                "it was asked at its own endpoint".to_owned(),
                "'systemctl status quorate-etcd', then 'journalctl -u quorate-etcd -n 50'".to_owned(),
            ),
            (_, Health::Unhealthy) => (
                Verdict::Degraded,
                format!("{name} does not answer"),
                format!("its etcd member was asked at {}", master.address),
                format!(
                    "look after {name} (power, network, 'quorate status' there); it rejoins by itself. \
                     Gone for good: 'quorate help recovery'"
                ),
            ),
            _ => continue,
        };
        found.push(Finding { verdict, part: Some(Part::Etcd), what, why, remedy });
    }
}

fn reserve(status: &Status) -> Option<Finding> {
    let EtcdStatus::Quorate { voters, healthy, may_lose: 0, .. } = &status.etcd else { return None };
    let learner = status.masters.iter().any(|master| master.member == MemberRole::Learner);
    let (verdict, remedy) = match status.masters.len() {
        // A cluster that was made with one or two masters never had a reserve (environment: test).
        0..=2 => (Verdict::Fine, "use three masters where it matters: 'quorate help tolerance'"),
        // Growing passes through even counts; the next vote ends it.
        _ if learner => (Verdict::Converging, "the learner has its vote"),
        _ => (Verdict::Degraded, "bring the missing masters back before any maintenance on the others"),
    };
    Some(Finding {
        verdict,
        part: Some(Part::Etcd),
        what: "no further master may be lost".into(),
        why: format!("{healthy} of {voters} voters answer, and that many have to agree"),
        remedy: remedy.into(),
    })
}

fn probes(status: &Status, found: &mut Vec<Finding>) {
    found.extend(status.probes.iter().filter(|probe| probe.health == Health::Unhealthy).map(|probe| Finding {
        verdict: Verdict::Degraded,
        part: Some(Part::Vrrp),
        what: format!("the probe of {} fails", probe.target),
        why: probe.why.clone().unwrap_or_else(|| "no reason was recorded".into()),
        remedy: "repair what it asks; until then another master is preferred for the VIP".into(),
    }));
}

fn no_manifest(status: &Status) -> Option<Finding> {
    let untold = status.refused_drops.is_empty() && status.blocked.is_empty();
    (status.phase == Phase::NoManifest && untold).then(|| Finding {
        verdict: Verdict::Waiting,
        part: Some(Part::Manifest),
        what: "no manifest was ever accepted here".into(),
        why: "none of the drop directories holds one".into(),
        remedy: "manifest.yaml, manifest.yaml.sig and this master's node.pem lie in /etc/quorate/drop \
                 ('quorate help genesis')"
            .into(),
    })
}

fn warnings(status: &Status, found: &mut Vec<Finding>) {
    found.extend(status.warnings.iter().map(|warning| Finding {
        verdict: Verdict::Fine,
        part: Some(warning.part),
        what: warning.what.clone(),
        why: String::new(),
        remedy: warning.remedy.clone(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_stale_only_after_the_timer_came_twice_in_vain() {
        let timer = include_str!("../../units/quorate-reconcile.timer");
        let seconds = |key: &str| -> i64 {
            let value = timer.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            value.strip_prefix('=').and_then(|value| value.strip_suffix('s')).unwrap().parse().unwrap()
        };
        let period_s = seconds("OnUnitInactiveSec") + seconds("RandomizedDelaySec") + seconds("AccuracySec");
        assert!(period_s < 60, "the screen says 'at least once a minute'");
        assert!(3 * period_s <= STALE_AFTER_S);
    }
}
