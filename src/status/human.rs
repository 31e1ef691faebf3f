//! The status document for people: one screen, the answer first, what to do about it last.

use super::findings::{Finding, Verdict, findings, is_stale, verdict};
use super::{
    Certificate, EtcdStatus, Health, MasterStatus, MemberRole, Phase, Status, VipStatus, VrrpCounters, VrrpRole,
    elapsed,
};
use jiff::Timestamp;
use std::fmt::{self, Write};

/// Terminal colours; off for pipes and files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// No escape sequences.
    Plain,
    /// ANSI colours.
    Colour,
}

/// How a word is meant.
#[derive(Debug, Clone, Copy)]
pub enum Tone {
    /// As it should be.
    Good,
    /// On its way.
    Watch,
    /// Needs somebody.
    Bad,
    /// Less important.
    Faint,
    /// A heading.
    Strong,
}

impl Paint {
    /// `text` in the colour of `tone`.
    pub fn tone(self, tone: Tone, text: &str) -> String {
        let code = match tone {
            Tone::Good => "32",
            Tone::Watch => "33",
            Tone::Bad => "31",
            Tone::Faint => "2",
            Tone::Strong => "1",
        };
        match self {
            Paint::Plain => text.to_owned(),
            Paint::Colour => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

impl Verdict {
    /// How the word is coloured.
    pub fn tone(self) -> Tone {
        match self {
            Verdict::Fine => Tone::Good,
            Verdict::Converging | Verdict::Waiting => Tone::Watch,
            Verdict::Degraded | Verdict::Refused | Verdict::Failed | Verdict::Down | Verdict::Unknown => Tone::Bad,
        }
    }
}

/// The whole screen. `now` dates the document: an old one is a finding of its own.
pub fn render(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = screen(&mut out, status, now, paint);
    out
}

fn screen(out: &mut String, status: &Status, now: Timestamp, paint: Paint) -> fmt::Result {
    let found = findings(status, now);
    let verdict = verdict(status, now);
    let cluster = status.manifest.as_ref().map_or("quorate", |manifest| manifest.cluster.as_str());
    let word = paint.tone(verdict.tone(), &verdict.to_string());
    writeln!(out, "{}  {word}: {}\n", paint.tone(Tone::Strong, cluster), answer(status, verdict, &found))?;
    row(out, "host", &host(status, now, paint))?;
    if let Some(manifest) = &status.manifest {
        let origin = manifest.origin.as_ref().map_or_else(String::new, |origin| format!(", from {origin}"));
        row(out, "manifest", &format!("generation {} ({}){origin}", manifest.generation, manifest.digest.short()))?;
    }
    if let Some(vip) = &status.vip {
        row(out, "vip", &address(vip, paint))?;
        moves(out, vip, now, paint)?;
        if let Some(counters) = &vip.counters {
            row(out, "vrrp", &adverts(counters))?;
        }
    }
    if status.manifest.is_some() {
        row(out, "etcd", &etcd(status, paint))?;
    }
    certificates(out, status, now, paint)?;
    probes(out, status, paint)?;
    if !status.masters.is_empty() {
        table(out, status, paint)?;
    }
    work(out, status, now, paint)?;
    advice(out, &found, status.activity.is_some(), paint)
}

/// What the daemon counted, without what never occurred.
fn adverts(counters: &VrrpCounters) -> String {
    let VrrpCounters { received, sent, send_failures, late, fence_refreshes, discards } = counters;
    let discarded = discards.values().sum();
    let told = [(*late, "late"), (*send_failures, "refused by the kernel"), (discarded, "discarded")];
    let odd: String =
        told.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!(", {count} {word}")).collect();
    format!("{sent} adverts sent, {received} heard{odd}; lease extended {fence_refreshes} times")
}

/// The one fact that matters most, behind the verdict in the first line.
pub fn answer(status: &Status, verdict: Verdict, found: &[Finding]) -> String {
    let worst = found.iter().find(|finding| finding.verdict == verdict);
    match (verdict, &status.etcd, worst) {
        (Verdict::Fine, EtcdStatus::Quorate { may_lose, .. }, _) => may_lose_words(*may_lose),
        (Verdict::Fine, ..) => "as the manifest asks".into(),
        (Verdict::Converging, ..) if let Some(activity) = &status.activity => match activity.progress.as_str() {
            "" => activity.step.clone(),
            progress => format!("{}; {progress}", activity.step),
        },
        (Verdict::Converging, _, None) => "a run is at work".into(),
        // For whom it waits is the answer, and so is what broke; both stand in the first line of the reason.
        (Verdict::Waiting | Verdict::Failed, _, Some(finding)) => {
            format!("{}: {}", finding.what, finding.why.lines().next().unwrap_or_default())
        }
        (_, _, Some(finding)) => finding.what.clone(),
        (_, _, None) => "the last run did not end as it should".into(),
    }
}

/// Whether a finding's remedy is something awaited, not something to do.
pub fn awaited(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Converging | Verdict::Waiting)
}

/// How many masters may still be lost.
pub fn may_lose_words(may_lose: usize) -> String {
    match may_lose {
        0 => "may lose no further master".into(),
        1 => "may lose 1 more master".into(),
        many => format!("may lose {many} more masters"),
    }
}

fn row(out: &mut String, name: &str, text: &str) -> fmt::Result {
    writeln!(out, "  {name:<8}  {text}")
}

fn host(status: &Status, now: Timestamp, paint: Paint) -> String {
    let name = status.host.as_ref().map_or("not named by a manifest", |name| name.as_str());
    let phase = match status.phase {
        Phase::Converged => paint.tone(Tone::Good, "converged"),
        Phase::Converging => paint.tone(Tone::Watch, "converging"),
        Phase::Waiting => paint.tone(Tone::Watch, "waiting"),
        Phase::NoManifest => paint.tone(Tone::Watch, "no manifest"),
        Phase::Refused => paint.tone(Tone::Bad, "refused"),
        Phase::Failed => paint.tone(Tone::Bad, "failed"),
    };
    let age_s = elapsed::seconds(status.at, now);
    let tone = if is_stale(status, now) { Tone::Bad } else { Tone::Faint };
    format!("{name}, {phase}, {}", paint.tone(tone, &format!("seen {} ago", elapsed::words(age_s))))
}

fn address(vip: &VipStatus, paint: Paint) -> String {
    let addresses = vip.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let link = vip.link.as_ref().map(|link| format!(" on {link}")).unwrap_or_default();
    let active = match &vip.active {
        Some(name) => format!("active on {}", paint.tone(Tone::Good, name.as_str())),
        None => paint.tone(Tone::Watch, "no active master known"),
    };
    format!("{addresses}{link}, {active}")
}

/// More belong into the journal.
const MOVES_SHOWN: usize = 3;
/// Older moves explain nothing that is on this screen; the page keeps them.
const MOVES_WITHIN_S: i64 = 60 * 60;

fn moves(out: &mut String, vip: &VipStatus, now: Timestamp, paint: Paint) -> fmt::Result {
    let recent = vip.transitions.iter().rev().filter(|moved| elapsed::seconds(moved.at, now) <= MOVES_WITHIN_S);
    for moved in recent.take(MOVES_SHOWN) {
        let ago = elapsed::words(elapsed::seconds(moved.at, now));
        let text = format!("{ago} ago here: {} → {}, {}", vrrp(moved.from).0, vrrp(moved.to).0, moved.why);
        row(out, "", &paint.tone(Tone::Faint, &text))?;
    }
    Ok(())
}

fn etcd(status: &Status, paint: Paint) -> String {
    match &status.etcd {
        EtcdStatus::Unformed => paint.tone(Tone::Watch, "not formed yet"),
        EtcdStatus::Quorate { cluster_id, voters, healthy, may_lose } => {
            let tone = if *may_lose == 0 { Tone::Bad } else { Tone::Good };
            let lose = paint.tone(tone, &may_lose_words(*may_lose));
            let leader = status.masters.iter().find(|master| master.member == MemberRole::Leader);
            let led = leader.map(|master| format!(", led by {}", master.name)).unwrap_or_default();
            format!("quorate{led}, {healthy} of {voters} voters healthy, {lose} (cluster {cluster_id})")
        }
        EtcdStatus::NoQuorum { why } => paint.tone(Tone::Bad, &format!("no quorum: {why}")),
        EtcdStatus::Unknown { why } => paint.tone(Tone::Watch, &format!("unknown: {why}")),
    }
}

fn certificates(out: &mut String, status: &Status, now: Timestamp, paint: Paint) -> fmt::Result {
    if status.certificates.is_empty() {
        return Ok(());
    }
    let seen = status.certificates.iter().map(|seen| {
        let name = match seen.certificate {
            Certificate::Node => "node",
            Certificate::ClusterCa => "cluster CA",
        };
        match elapsed::days_until(seen.not_after, now) {
            ..0 => format!("{name} {}", paint.tone(Tone::Bad, "expired")),
            days => format!("{name} {days} days"),
        }
    });
    row(out, "certs", &seen.collect::<Vec<_>>().join(", "))
}

fn probes(out: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    for probe in &status.probes {
        let (word, tone) = health(probe.health);
        row(out, "probe", &format!("{} {}", probe.target, paint.tone(tone, word)))?;
    }
    Ok(())
}

fn table(out: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    let widest = status.masters.iter().map(|master| master.name.as_str().len()).max().unwrap_or(0).max(6);
    let addresses: Vec<String> = status.masters.iter().map(|master| master.address.to_string()).collect();
    let address = addresses.iter().map(String::len).max().unwrap_or(0).max(7);
    writeln!(out)?;
    let header = format!("  {:widest$}  {:address$}  {:10}  {:8}  HEALTH", "MASTER", "ADDRESS", "VRRP", "ETCD");
    writeln!(out, "{}", paint.tone(Tone::Strong, &header))?;
    for master in &status.masters {
        let (role, member, health) = words(master);
        let here = if Some(&master.name) == status.host.as_ref() { "  (this host)" } else { "" };
        writeln!(
            out,
            "  {:widest$}  {:address$}  {}  {}  {}{}",
            master.name.as_str(),
            master.address.to_string(),
            paint.tone(role.1, &format!("{:10}", role.0)),
            paint.tone(member.1, &format!("{:8}", member.0)),
            paint.tone(health.1, health.0),
            paint.tone(Tone::Faint, here),
        )?;
    }
    Ok(())
}

/// A word with the way it is meant.
pub type Word = (&'static str, Tone);

/// A part in the virtual router.
pub fn vrrp(role: VrrpRole) -> Word {
    match role {
        VrrpRole::Active => ("active", Tone::Good),
        VrrpRole::Backup => ("backup", Tone::Faint),
        VrrpRole::Initialize => ("initialize", Tone::Watch),
        VrrpRole::Unknown => ("unknown", Tone::Watch),
    }
}

/// Whether something answers.
pub fn health(health: Health) -> Word {
    match health {
        Health::Healthy => ("healthy", Tone::Good),
        Health::Unhealthy => ("unhealthy", Tone::Bad),
        Health::Unknown => ("unknown", Tone::Watch),
    }
}

/// The three words of a master: virtual router, etcd membership, health.
pub fn words(master: &MasterStatus) -> (Word, Word, Word) {
    let member = match master.member {
        MemberRole::Leader => ("leader", Tone::Good),
        MemberRole::Voter => ("voter", Tone::Good),
        MemberRole::Learner => ("learner", Tone::Watch),
        MemberRole::Absent => ("absent", Tone::Bad),
        MemberRole::Unknown => ("unknown", Tone::Watch),
    };
    (vrrp(master.vrrp), member, health(master.health))
}

fn work(out: &mut String, status: &Status, now: Timestamp, paint: Paint) -> fmt::Result {
    if let Some(activity) = &status.activity {
        let since = elapsed::words(elapsed::seconds(activity.since, now));
        let limit = activity.deadline.map_or(String::new(), |deadline| {
            format!(", gives up in {}", elapsed::words(elapsed::seconds(now, deadline)))
        });
        writeln!(out, "\n{} {}", paint.tone(Tone::Strong, "at work"), activity.step)?;
        let progress = if activity.progress.is_empty() { "it has just begun" } else { &activity.progress };
        indented(out, "", &format!("{progress} (for {since}{limit})"))?;
    }
    let at_work = status.activity.as_ref().map(|activity| &activity.step);
    let mut pending = status.pending.iter().filter(|step| Some(*step) != at_work).peekable();
    if pending.peek().is_some() {
        writeln!(out, "\n{}", paint.tone(Tone::Strong, "pending"))?;
        pending.try_for_each(|step| indented(out, "", step))?;
    }
    Ok(())
}

fn advice(out: &mut String, found: &[Finding], at_work: bool, paint: Paint) -> fmt::Result {
    if found.is_empty() {
        let words = if at_work { "nothing to do but wait" } else { "nothing to do" };
        return writeln!(out, "\n{}", paint.tone(Tone::Faint, words));
    }
    for finding in found {
        let (word, tone) = match finding.verdict {
            Verdict::Fine => ("note".to_owned(), Tone::Faint),
            verdict => (verdict.to_string(), verdict.tone()),
        };
        let part = finding.part.map(|part| format!("{part}: ")).unwrap_or_default();
        let awaited = awaited(finding.verdict);
        writeln!(out, "\n{} {part}{}", paint.tone(tone, &word), finding.what)?;
        if !finding.why.is_empty() {
            indented(out, if awaited { "why    " } else { "why  " }, &finding.why)?;
        }
        indented(out, if awaited { "until  " } else { "do   " }, &finding.remedy)?;
    }
    Ok(())
}

/// `text` below a heading; further lines of it stand under the first.
fn indented(out: &mut String, label: &str, text: &str) -> fmt::Result {
    let mut label = label.to_owned();
    for line in text.lines() {
        writeln!(out, "  {label}{line}")?;
        label = " ".repeat(label.len());
    }
    Ok(())
}
