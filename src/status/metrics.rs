//! The status document for Prometheus' text-file collector.
//!
//! Names, units and types follow the Prometheus conventions; `promtool check metrics` reads every case of
//! `tests/status`. Labels are bounded by the manifest (master names, probe targets) or by the words of this program.
//! What is not known has no sample: absent is not 0. The cluster's name stands in `quorate_manifest_info` alone, to be
//! joined `on (instance)`, as the convention for such labels is.

use super::{Certificate, EtcdStatus, Health, Phase, Status, VrrpCounters, VrrpRole};
use crate::plan::{Hold, Part};
use crate::vrrp::packet::Discard;
use std::fmt::{self, Write};

/// The metrics file, in the text exposition format.
pub fn render(status: &Status) -> String {
    let mut page = Page { out: String::new() };
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = page.all(status);
    page.out
}

/// The file being written.
struct Page {
    out: String,
}

const PHASES: [(Phase, &str); 6] = [
    (Phase::NoManifest, "no-manifest"),
    (Phase::Converging, "converging"),
    (Phase::Converged, "converged"),
    (Phase::Waiting, "waiting"),
    (Phase::Refused, "refused"),
    (Phase::Failed, "failed"),
];
const PARTS: [Part; 5] = [Part::Manifest, Part::Pki, Part::Network, Part::Vrrp, Part::Etcd];
const HOLDS: [(Hold, &str); 2] = [(Hold::Waiting, "waiting"), (Hold::Refused, "refused")];
const ETCD_STATES: [&str; 4] = ["unformed", "quorate", "no-quorum", "unknown"];

impl Page {
    fn all(&mut self, status: &Status) -> fmt::Result {
        self.gauge("build_info", "Version of quorate that wrote this file, as a label on a constant 1.")?;
        self.sample("build_info", &[("version", env!("CARGO_PKG_VERSION"))], 1)?;
        self.gauge("last_observation_timestamp_seconds", "When reconcile last looked at this host, in Unix time.")?;
        self.sample("last_observation_timestamp_seconds", &[], status.at.as_second())?;
        self.gauge("phase", "1 for the phase that this host is in, 0 for the others.")?;
        for (phase, word) in PHASES {
            self.sample("phase", &[("phase", word)], u8::from(status.phase == phase))?;
        }
        self.manifest(status)?;
        self.plan(status)?;
        self.etcd(status)?;
        self.masters(status)?;
        self.host(status)
    }

    fn manifest(&mut self, status: &Status) -> fmt::Result {
        self.gauge("refused_drops", "Dropped manifests that were refused and still lie there.")?;
        self.sample("refused_drops", &[], status.refused_drops.len())?;
        let Some(manifest) = &status.manifest else { return Ok(()) };
        self.gauge("manifest_generation", "Generation of the manifest in force.")?;
        self.sample("manifest_generation", &[], manifest.generation)?;
        self.gauge("manifest_info", "Cluster that the manifest in force describes, as labels on a constant 1.")?;
        let labels = [("cluster", manifest.cluster.as_str()), ("cluster_id", manifest.cluster_id.as_str())];
        self.sample("manifest_info", &labels, 1)
    }

    fn plan(&mut self, status: &Status) -> fmt::Result {
        self.gauge("pending_steps", "Steps that the last plan still wants to take.")?;
        self.sample("pending_steps", &[], status.pending.len())?;
        self.gauge("failed_steps", "Steps of the last run that failed.")?;
        self.sample("failed_steps", &[], status.failed.len())?;
        self.gauge("blocked_items", "What the last plan did not plan, by part and by whether it ends by itself.")?;
        for part in PARTS {
            for (hold, word) in HOLDS {
                let blocked = status.blocked.iter().filter(|blocked| blocked.part == part && blocked.hold == hold);
                self.sample("blocked_items", &[("part", &part.to_string()), ("hold", word)], blocked.count())?;
            }
        }
        Ok(())
    }

    fn etcd(&mut self, status: &Status) -> fmt::Result {
        let state = match &status.etcd {
            EtcdStatus::Unformed => "unformed",
            EtcdStatus::Quorate { .. } => "quorate",
            EtcdStatus::NoQuorum { .. } => "no-quorum",
            EtcdStatus::Unknown { .. } => "unknown",
        };
        self.gauge("etcd_state", "1 for the state of the etcd cluster as seen from here, 0 for the others.")?;
        for word in ETCD_STATES {
            self.sample("etcd_state", &[("state", word)], u8::from(word == state))?;
        }
        if let EtcdStatus::Quorate { voters, healthy, may_lose, .. } = &status.etcd {
            self.gauge("etcd_voters", "Voters of the etcd cluster.")?;
            self.sample("etcd_voters", &[], voters)?;
            self.gauge("etcd_healthy_voters", "Voters that answer.")?;
            self.sample("etcd_healthy_voters", &[], healthy)?;
            self.gauge("etcd_expendable_voters", "Voters that may still be lost before quorum is lost.")?;
            self.sample("etcd_expendable_voters", &[], may_lose)?;
        }
        Ok(())
    }

    fn masters(&mut self, status: &Status) -> fmt::Result {
        let known = |health: &Health| *health != Health::Unknown;
        let active = status.vip.as_ref().and_then(|vip| vip.active.as_ref());
        // "Nobody" is only known to a host whose own daemon listens.
        let listens = status.masters.iter().any(|master| {
            Some(&master.name) == status.host.as_ref() && matches!(master.vrrp, VrrpRole::Active | VrrpRole::Backup)
        });
        if active.is_some() || listens {
            self.gauge(
                "vip_active",
                "1 for the master that answers for the VIP, as seen from here, 0 for the others.",
            )?;
            for master in &status.masters {
                let answers = u8::from(active == Some(&master.name));
                self.sample("vip_active", &[("master", master.name.as_str())], answers)?;
            }
        }
        if status.masters.iter().any(|master| known(&master.health)) {
            self.gauge("etcd_member_healthy", "1 when the master's etcd member answers at its own endpoint.")?;
            for master in status.masters.iter().filter(|master| known(&master.health)) {
                let healthy = u8::from(master.health == Health::Healthy);
                self.sample("etcd_member_healthy", &[("master", master.name.as_str())], healthy)?;
            }
        }
        Ok(())
    }

    fn vrrp(&mut self, counters: &VrrpCounters) -> fmt::Result {
        let VrrpCounters { received, sent, send_failures, late, fence_refreshes, discards } = counters;
        for (name, help, count) in [
            ("vrrp_adverts_received_total", "Advertisements that this host's daemon accepted.", received),
            ("vrrp_adverts_sent_total", "Advertisements that this host's daemon sent.", sent),
            ("vrrp_advert_send_failures_total", "Advertisements that the kernel refused to send.", send_failures),
            ("vrrp_adverts_late_total", "Advertisements sent late by a tenth of their interval or more.", late),
            ("vrrp_fence_refreshes_total", "Times that the kernel lease on the VIP was extended.", fence_refreshes),
        ] {
            self.head(name, "counter", help)?;
            self.sample(name, &[], count)?;
        }
        self.head("vrrp_discards_total", "counter", "Datagrams that were not acted upon, by reason.")?;
        for reason in Discard::ALL {
            let count = discards.get(reason).copied().unwrap_or_default();
            self.sample("vrrp_discards_total", &[("reason", reason.word())], count)?;
        }
        Ok(())
    }

    fn host(&mut self, status: &Status) -> fmt::Result {
        if let Some(total) = status.vip.as_ref().and_then(|vip| vip.transitions_total) {
            self.head("vrrp_transitions_total", "counter", "Changes of this host's part in the virtual router.")?;
            self.sample("vrrp_transitions_total", &[], total)?;
        }
        if let Some(counters) = status.vip.as_ref().and_then(|vip| vip.counters.as_ref()) {
            self.vrrp(counters)?;
        }
        if status.probes.iter().any(|probe| probe.health != Health::Unknown) {
            self.gauge("probe_healthy", "1 when the health probe of this host succeeds.")?;
            for probe in status.probes.iter().filter(|probe| probe.health != Health::Unknown) {
                let healthy = u8::from(probe.health == Health::Healthy);
                self.sample("probe_healthy", &[("target", &probe.target)], healthy)?;
            }
        }
        if !status.certificates.is_empty() {
            self.gauge("certificate_not_after_timestamp_seconds", "End of a certificate's validity, in Unix time.")?;
            for seen in &status.certificates {
                let word = match seen.certificate {
                    Certificate::Node => "node",
                    Certificate::ClusterCa => "cluster-ca",
                };
                let labels = [("certificate", word)];
                self.sample("certificate_not_after_timestamp_seconds", &labels, seen.not_after.as_second())?;
            }
        }
        Ok(())
    }

    fn gauge(&mut self, name: &str, help: &str) -> fmt::Result {
        self.head(name, "gauge", help)
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.out, "# HELP quorate_{name} {help}\n# TYPE quorate_{name} {kind}")
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl fmt::Display) -> fmt::Result {
        write!(self.out, "quorate_{name}")?;
        for (at, (label, text)) in labels.iter().enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            write!(self.out, "{open}{label}=\"{}\"", escaped(text))?;
        }
        writeln!(self.out, "{} {value}", if labels.is_empty() { "" } else { "}" })
    }
}

/// A label value as the text format wants it.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_cannot_end_its_own_quotes() {
        assert_eq!(escaped("a\"b\\c\nd"), "a\\\"b\\\\c\\nd");
    }
}
