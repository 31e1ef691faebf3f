//! The status document for people: one screen, the answer first, what to do about it last.

use super::{EtcdStatus, Health, MasterStatus, MemberRole, Phase, Status, VrrpRole};
use crate::plan::Hold;
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

/// The whole screen. `now` dates the document: an old one is a finding of its own.
pub fn render(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = screen(&mut out, status, now, paint);
    out
}

fn screen(out: &mut String, status: &Status, now: Timestamp, paint: Paint) -> fmt::Result {
    let (word, tone) = match status.phase {
        Phase::Converged => ("converged", Tone::Good),
        Phase::Converging => ("converging", Tone::Watch),
        Phase::Waiting => ("waiting", Tone::Watch),
        Phase::NoManifest => ("no manifest", Tone::Watch),
        Phase::Refused => ("refused", Tone::Bad),
        Phase::Failed => ("failed", Tone::Bad),
    };
    let host = status.host.as_ref().map_or("this host", |name| name.as_str());
    writeln!(out, "{}  {}  {}", paint.tone(Tone::Strong, host), paint.tone(tone, word), age(status.at, now, paint))?;
    if let Some(manifest) = &status.manifest {
        let line = format!("{} generation {} ({})", manifest.cluster, manifest.generation, manifest.digest.short());
        row(out, "cluster", &line)?;
    }
    if let Some(vip) = &status.vip {
        let addresses = vip.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let active = match &vip.active {
            Some(name) => format!("active on {name}"),
            None => paint.tone(Tone::Bad, "no active master known"),
        };
        let link = vip.link.as_ref().map(|link| format!(" via {link}")).unwrap_or_default();
        row(out, "vip", &format!("{addresses}{link}, {active}"))?;
    }
    row(out, "etcd", &etcd(&status.etcd, paint))?;
    if !status.masters.is_empty() {
        table(out, status, paint)?;
    }
    findings(out, status, paint)
}

fn row(out: &mut String, name: &str, text: &str) -> fmt::Result {
    writeln!(out, "  {name:<8} {text}")
}

/// A document older than this was not renewed by the timer (every 20 s to 30 s): something is stuck.
const STALE_AFTER_S: i64 = 120;

fn age(at: Timestamp, now: Timestamp, paint: Paint) -> String {
    let age_s = now.as_second().saturating_sub(at.as_second()).max(0);
    if age_s > STALE_AFTER_S {
        paint.tone(
            Tone::Bad,
            &format!("seen {age_s} s ago: reconcile has not run since, see 'systemctl status quorate-reconcile.timer'"),
        )
    } else {
        paint.tone(Tone::Faint, &format!("seen {age_s} s ago"))
    }
}

fn etcd(etcd: &EtcdStatus, paint: Paint) -> String {
    match etcd {
        EtcdStatus::Unformed => paint.tone(Tone::Watch, "not formed yet"),
        EtcdStatus::Quorate { cluster_id, voters, healthy, may_lose } => {
            let lose = match may_lose {
                0 => paint.tone(Tone::Bad, "may lose none"),
                1 => paint.tone(Tone::Good, "may lose 1 more master"),
                many => paint.tone(Tone::Good, &format!("may lose {many} more masters")),
            };
            format!("quorate, {healthy} of {voters} voters healthy, {lose} (cluster {cluster_id})")
        }
        EtcdStatus::NoQuorum { why } => paint.tone(Tone::Bad, &format!("no quorum: {why}")),
        EtcdStatus::Unknown { why } => paint.tone(Tone::Watch, &format!("unknown: {why}")),
    }
}

fn table(out: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    let widest = status.masters.iter().map(|master| master.name.as_str().len()).max().unwrap_or(0).max(6);
    let addresses: Vec<String> = status.masters.iter().map(|master| master.address.to_string()).collect();
    let address = addresses.iter().map(String::len).max().unwrap_or(0).max(7);
    writeln!(out)?;
    let header = format!("  {:widest$}  {:address$}  {:10}  {:8}  HEALTH", "MASTER", "ADDRESS", "VRRP", "ETCD");
    writeln!(out, "{}", paint.tone(Tone::Strong, &header))?;
    for master in &status.masters {
        let (vrrp, member, health) = words(master);
        let here = if Some(&master.name) == status.host.as_ref() { "  (this host)" } else { "" };
        writeln!(
            out,
            "  {:widest$}  {:address$}  {}  {}  {}{}",
            master.name.as_str(),
            master.address.to_string(),
            paint.tone(vrrp.1, &format!("{:10}", vrrp.0)),
            paint.tone(member.1, &format!("{:8}", member.0)),
            paint.tone(health.1, health.0),
            paint.tone(Tone::Faint, here),
        )?;
    }
    Ok(())
}

type Word = (&'static str, Tone);

fn words(master: &MasterStatus) -> (Word, Word, Word) {
    let vrrp = match master.vrrp {
        VrrpRole::Active => ("active", Tone::Good),
        VrrpRole::Backup => ("backup", Tone::Faint),
        VrrpRole::Initialize => ("initialize", Tone::Watch),
        VrrpRole::Unknown => ("unknown", Tone::Watch),
    };
    let member = match master.member {
        MemberRole::Leader => ("leader", Tone::Good),
        MemberRole::Voter => ("voter", Tone::Good),
        MemberRole::Learner => ("learner", Tone::Watch),
        MemberRole::Absent => ("absent", Tone::Bad),
        MemberRole::Unknown => ("unknown", Tone::Watch),
    };
    let health = match master.health {
        Health::Healthy => ("healthy", Tone::Good),
        Health::Unhealthy => ("unhealthy", Tone::Bad),
        Health::Unknown => ("unknown", Tone::Watch),
    };
    (vrrp, member, health)
}

fn findings(out: &mut String, status: &Status, paint: Paint) -> fmt::Result {
    for drop in &status.refused_drops {
        writeln!(out, "\n{} {}", paint.tone(Tone::Bad, "refused drop"), drop.origin)?;
        indented(out, &drop.why)?;
    }
    for blocked in &status.blocked {
        let (word, tone) = match blocked.hold {
            Hold::Refused => ("refused", Tone::Bad),
            Hold::Waiting => ("waiting", Tone::Watch),
        };
        writeln!(out, "\n{} {}: {}", paint.tone(tone, word), blocked.part, blocked.what)?;
        indented(out, &blocked.why)?;
        indented(out, &format!("unblocked by: {}", blocked.unblock))?;
    }
    for failed in &status.failed {
        writeln!(out, "\n{} {}", paint.tone(Tone::Bad, "failed"), failed.step)?;
        indented(out, &failed.error)?;
    }
    if !status.pending.is_empty() {
        writeln!(out, "\n{}", paint.tone(Tone::Strong, "pending"))?;
        status.pending.iter().try_for_each(|step| indented(out, step))?;
    }
    Ok(())
}

fn indented(out: &mut String, text: &str) -> fmt::Result {
    text.lines().try_for_each(|line| writeln!(out, "  {line}"))
}
