//! The status document for Prometheus' text-file collector. Labels are bounded: master names and fixed words.

use super::{EtcdStatus, Health, Phase, Status, VrrpRole};
use crate::plan::Hold;
use std::fmt::{self, Write};

/// The metrics file, in the text exposition format.
pub fn render(status: &Status) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = write_all(&mut out, status);
    out
}

fn write_all(out: &mut String, status: &Status) -> fmt::Result {
    gauge(out, "quorate_last_observation_timestamp_seconds", "When reconcile last looked at this host.")?;
    writeln!(out, "quorate_last_observation_timestamp_seconds {}", status.at.as_second())?;
    gauge(out, "quorate_converged", "1 when the last plan was empty.")?;
    writeln!(out, "quorate_converged {}", u8::from(status.phase == Phase::Converged))?;
    if let Some(manifest) = &status.manifest {
        gauge(out, "quorate_manifest_generation", "Generation of the manifest in force.")?;
        writeln!(out, "quorate_manifest_generation {}", manifest.generation)?;
    }
    gauge(out, "quorate_refused_drops", "Dropped manifests that were refused.")?;
    writeln!(out, "quorate_refused_drops {}", status.refused_drops.len())?;
    gauge(out, "quorate_blocked", "Items of the last plan that are not done.")?;
    for (hold, word) in [(Hold::Waiting, "waiting"), (Hold::Refused, "refused")] {
        let count = status.blocked.iter().filter(|blocked| blocked.hold == hold).count();
        writeln!(out, "quorate_blocked{{hold=\"{word}\"}} {count}")?;
    }
    gauge(out, "quorate_failed_steps", "Steps of the last run that failed.")?;
    writeln!(out, "quorate_failed_steps {}", status.failed.len())?;
    masters(out, status)?;
    if let EtcdStatus::Quorate { voters, healthy, may_lose, .. } = &status.etcd {
        gauge(out, "quorate_etcd_voters", "Voters of the etcd cluster.")?;
        writeln!(out, "quorate_etcd_voters {voters}")?;
        gauge(out, "quorate_etcd_healthy_voters", "Voters that answer.")?;
        writeln!(out, "quorate_etcd_healthy_voters {healthy}")?;
        gauge(out, "quorate_etcd_may_lose", "Voters that may still be lost before quorum is lost.")?;
        writeln!(out, "quorate_etcd_may_lose {may_lose}")?;
    }
    gauge(out, "quorate_etcd_quorate", "1 when a read with quorum succeeded.")?;
    writeln!(out, "quorate_etcd_quorate {}", u8::from(matches!(status.etcd, EtcdStatus::Quorate { .. })))
}

fn masters(out: &mut String, status: &Status) -> fmt::Result {
    if status.masters.is_empty() {
        return Ok(());
    }
    gauge(out, "quorate_vip_active", "1 for the master that answers for the VIP, as seen from here.")?;
    for master in &status.masters {
        let active = u8::from(master.vrrp == VrrpRole::Active);
        writeln!(out, "quorate_vip_active{{master=\"{}\"}} {active}", master.name)?;
    }
    gauge(out, "quorate_etcd_member_healthy", "1 when the master's etcd member answers at its own endpoint.")?;
    for master in &status.masters {
        let healthy = u8::from(master.health == Health::Healthy);
        writeln!(out, "quorate_etcd_member_healthy{{master=\"{}\"}} {healthy}", master.name)?;
    }
    Ok(())
}

fn gauge(out: &mut String, name: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge")
}
