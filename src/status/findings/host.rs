//! What is wrong on this host: its document, its drops, its certificates, its plan.

use super::{Finding, Verdict};
use crate::plan::{Hold, Part};
use crate::status::{Certificate, Phase, Status, Volume, elapsed};
use jiff::Timestamp;

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

pub(super) fn stale(status: &Status, now: Timestamp) -> Option<Finding> {
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

/// With less than this left a file system is as good as full: etcd's logs alone are 64 MB each.
const FULL_BELOW_BYTES: u64 = 64_000_000;
/// From here on the screen reminds: an etcd snapshot and a night of logs still fit.
const LOW_BELOW_PERCENT: u64 = 10;

pub(super) fn storage(status: &Status, found: &mut Vec<Finding>) {
    for volume in &status.storage {
        let Volume { path, size_bytes, available_bytes, available_files } = volume;
        let path = path.display();
        let full = *available_bytes < FULL_BELOW_BYTES.min(size_bytes / 50) || *available_files == Some(0);
        let (verdict, word) = match available_bytes.saturating_mul(100) / size_bytes.max(&1) {
            _ if full => (Verdict::Failed, "is full"),
            ..LOW_BELOW_PERCENT => (Verdict::Fine, "is nearly full"),
            _ => continue,
        };
        let mib = |bytes: &u64| bytes >> 20;
        let files = available_files.map_or_else(String::new, |files| format!(" and {files} files"));
        found.push(Finding {
            verdict,
            part: None,
            what: format!("the file system of '{path}' {word}"),
            why: format!(
                "{} of {} MiB{files} are left; etcd stops when it cannot write, and no manifest can be accepted",
                mib(available_bytes),
                mib(size_bytes)
            ),
            remedy: format!(
                "free space there: 'du -xhd2 {path}' shows what takes it; everything goes on by itself then"
            ),
        });
    }
}

pub(super) fn failed(status: &Status, found: &mut Vec<Finding>) {
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

pub(super) fn certificates(status: &Status, now: Timestamp, found: &mut Vec<Finding>) {
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

pub(super) fn refused_drops(status: &Status, found: &mut Vec<Finding>) {
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

pub(super) fn blocked(status: &Status, hold: Hold, found: &mut Vec<Finding>) {
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

pub(super) fn no_manifest(status: &Status) -> Option<Finding> {
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

pub(super) fn warnings(status: &Status, found: &mut Vec<Finding>) {
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
        let timer = include_str!("../../../units/quorate-reconcile.timer");
        let seconds = |key: &str| -> i64 {
            let value = timer.lines().find_map(|line| line.strip_prefix(key)).unwrap();
            value.strip_prefix('=').and_then(|value| value.strip_suffix('s')).unwrap().parse().unwrap()
        };
        let period_s = seconds("OnUnitInactiveSec") + seconds("RandomizedDelaySec") + seconds("AccuracySec");
        assert!(period_s < 60, "the screen says 'at least once a minute'");
        assert!(3 * period_s <= STALE_AFTER_S);
    }
}
