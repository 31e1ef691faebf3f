//! From bytes to a checked [`Manifest`], or to everything that is wrong with them.
//!
//! Size first, then UTF-8, then YAML, then the document key by key, then what must hold between its fields, then the
//! quorum policy. A fault in the text itself ends it (the rest would be guesswork); from there on all findings are
//! collected. Who signed the bytes is not known here: on a host only `trust` calls this, with verified bytes.

use super::document::{self, Document};
use super::{
    Environment, EtcdPhase, Identity, Manifest, Master, Probe, ProbeTarget, Recovery, Transport, Vip, Vrrp,
    VrrpChecksum, VrrpVersion, check,
};
use crate::ident::{ClusterId, Digest, Generation, Vrid};
use crate::quorum::policy::Acknowledgements;
use crate::yaml::finding::{Finding, Findings, Weight};
use crate::yaml::read::{Bounded, Read, Reader, Written};
use crate::yaml::{self, Fault, Place};
use std::time::Duration;

/// A hundred masters' worth of text; nothing larger is looked at (256 KiB).
pub const MOST_BYTES: usize = 256 * 1024;

/// A valid manifest and what it risks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// The manifest.
    pub manifest: Manifest,
    /// Warnings only.
    pub warnings: Findings,
}

/// Reads and checks a manifest; `file` is the name to show.
///
/// # Errors
/// Everything that is wrong, [`Weight::Unsafe`] where it is understood but could cost the cluster its quorum.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Parsed, Findings> {
    let text = text(file, bytes)?;
    let only = |finding| Findings::new(file, text, vec![finding]);
    let node = yaml::document(text).map_err(|fault| only(finding(fault)))?;
    if node.value == yaml::Value::Null {
        return Err(only(empty()));
    }
    let mut reader = Reader::default();
    let document = Document::read(&node, &mut reader);
    let mut findings = reader.into_findings();
    if let Some(document) = &document {
        let between = check::document(document, &findings);
        findings.extend(between);
    }
    let digest = Digest::of(bytes);
    match document.and_then(|document| manifest(document, digest)) {
        Some(manifest) if findings.iter().all(|finding| finding.weight == Weight::Warning) => {
            Ok(Parsed { manifest, warnings: Findings::new(file, text, findings) })
        }
        _ => Err(Findings::new(file, text, findings)),
    }
}

/// The text of a file that may be looked at.
fn text<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Findings> {
    let refused = |rule, what: String, why: &str, instead: &str, shown: &str, place: Place| {
        let fault = Fault { place, rule, what, why: why.to_owned(), instead: instead.to_owned() };
        Findings::new(file, shown, vec![finding(fault)])
    };
    if bytes.len() > MOST_BYTES {
        return Err(refused(
            "too-large",
            format!("the file has more than {MOST_BYTES} bytes"),
            "it is read before anything in it can be believed, so there is a bound",
            "check that this is the manifest; the largest sensible one has a few kilobytes",
            "",
            0..0,
        ));
    }
    std::str::from_utf8(bytes).map_err(|error| {
        let (readable, _) = bytes.split_at(error.valid_up_to());
        let readable = std::str::from_utf8(readable).unwrap_or_default();
        refused(
            "not-utf8",
            format!("byte {} is not UTF-8", error.valid_up_to() + 1),
            "programs would differ in what they read",
            "save the file as UTF-8",
            readable,
            readable.len()..readable.len(),
        )
    })
}

fn finding(fault: Fault) -> Finding {
    let Fault { place, rule, what, why, instead } = fault;
    let (weight, field, related) = (Weight::Invalid, String::new(), Vec::new());
    Finding { weight, rule, field, place, what, why, instead, related }
}

fn empty() -> Finding {
    finding(Fault {
        place: 0..0,
        rule: "empty",
        what: "the file has no content".into(),
        why: "an empty file is never taken for an empty cluster".into(),
        instead: "begin with 'quorate init --masters 3 > manifest.yaml'".into(),
    })
}

/// The manifest that a document without errors describes. What is missing has been reported by then.
fn manifest(document: Document, digest: Digest) -> Option<Manifest> {
    let metadata = document.metadata?.value;
    let spec = document.spec?.value;
    let vip = spec.vip?.value;
    let cluster_id = metadata.cluster_id?.value;
    let masters: Option<Vec<Master>> = spec.masters?.value.into_iter().map(|written| master(written.value)).collect();
    let probes: Option<Vec<Probe>> = match spec.health {
        Some(health) => health.value.into_iter().map(|written| probe(written.value)).collect(),
        None => Some(Vec::new()),
    };
    Some(Manifest {
        name: metadata.name?.value,
        generation: Generation(metadata.generation?.value.number),
        digest,
        issued_at: metadata.issued_at?.value,
        expires_at: metadata.expires_at.map(|written| written.value),
        supersedes: metadata.supersedes.map(|written| written.value),
        min_image_version: metadata.min_image_version.map(|written| written.value),
        environment: spec.environment.map_or(Environment::Production, |written| written.value),
        vip: Vip {
            addresses: vip.addresses?.value.into_iter().map(|written| written.value).collect(),
            interface: vip.interface?.value,
        },
        masters: masters?,
        vrrp: vrrp(spec.vrrp.map(|written| written.value), &cluster_id)?,
        health: probes?,
        etcd: etcd(spec.etcd?.value)?,
        acknowledged: spec.acknowledge.map_or_else(Default::default, |written| acknowledgements(&written.value)),
        ca: spec.pki.and_then(|written| written.value.ca).map(|written| written.value.0),
        cluster_id,
    })
}

fn master(written: document::Master) -> Option<Master> {
    let identity = written.identity?.value;
    Some(Master {
        name: written.name?.value,
        address: written.address?.value,
        identity: Identity {
            machine_id: identity.machine_id.map(|written| written.value),
            mac: identity.mac.map(|written| written.value),
            hostname: identity.hostname.map(|written| written.value.0),
            serial: identity.serial.map(|written| written.value.0),
            uuid: identity.uuid.map(|written| written.value.0),
        },
        interface: written.interface.map(|written| written.value),
    })
}

fn vrrp(written: Option<document::Vrrp>, cluster_id: &ClusterId) -> Option<Vrrp> {
    let router_id = written.as_ref().and_then(|vrrp| vrrp.router_id.as_ref());
    let interval = written.as_ref().and_then(|vrrp| vrrp.advertise_interval.as_ref());
    Some(Vrrp {
        router_id: match router_id {
            Some(written) => Vrid::try_from(u8::try_from(written.value.number).ok()?).ok()?,
            None => derived_router_id(cluster_id),
        },
        advertise_interval_cs: match interval {
            Some(written) => u16::try_from(written.value.0 / 10).ok()?,
            None => ADVERTISE_INTERVAL_CS,
        },
        transport: written
            .as_ref()
            .and_then(|vrrp| vrrp.transport.as_ref())
            .map_or(Transport::Multicast, |written| written.value),
        preempt: written.as_ref().and_then(|vrrp| vrrp.preempt.as_ref()).is_some_and(|written| written.value),
        preempt_delay: written
            .as_ref()
            .and_then(|vrrp| vrrp.preempt_delay.as_ref())
            .map_or(Duration::ZERO, |written| written.value.duration()),
        version: written
            .as_ref()
            .and_then(|vrrp| vrrp.version.as_ref())
            .map_or(VrrpVersion::V3, |written| written.value),
        checksum: written
            .as_ref()
            .and_then(|vrrp| vrrp.checksum.as_ref())
            .map_or(VrrpChecksum::MessageOnly, |written| written.value),
    })
}

/// Two clusters on one link collide in one case of 255 and not always, as they would with a fixed default.
fn derived_router_id(cluster_id: &ClusterId) -> Vrid {
    let sum = cluster_id.as_str().bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let octet = u8::try_from(sum % 255 + 1).unwrap_or(1);
    // 1 to 255 by construction.
    Vrid::try_from(octet).unwrap_or_else(|_| unreachable!("{octet} is not 0"))
}

fn probe(written: document::Probe) -> Option<Probe> {
    let target = match (written.https, written.http, written.tcp) {
        (Some(url), None, None) => ProbeTarget::Https(url.value.0),
        (None, Some(url), None) => ProbeTarget::Http(url.value.0),
        (None, None, Some(socket)) => ProbeTarget::Tcp(socket.value.0),
        _ => return None,
    };
    let streak = |written: Option<Written<Bounded<_>>>, default| match written {
        Some(written) => u8::try_from(written.value.number).ok(),
        None => Some(default),
    };
    Some(Probe {
        target,
        interval: written.interval.map_or(PROBE_INTERVAL, |written| written.value.duration()),
        fall: streak(written.fall, PROBE_FALL)?,
        rise: streak(written.rise, PROBE_RISE)?,
    })
}

fn etcd(written: document::Etcd) -> Option<EtcdPhase> {
    match (written.phase, written.formed, written.recovery) {
        (Some(_), None, None) => Some(EtcdPhase::Genesis),
        (None, Some(formed), None) => Some(EtcdPhase::Formed { cluster_id: formed.value.cluster_id?.value.0 }),
        (None, None, Some(recovery)) => Some(EtcdPhase::Recovery(Recovery {
            lost: recovery.value.lost_cluster_id?.value.0,
            from: recovery.value.from?.value,
            snapshot: recovery.value.snapshot.map(|written| written.value),
            expires_at: recovery.value.expires_at?.value,
        })),
        _ => None,
    }
}

/// `spec.acknowledge` in the words of the quorum policy.
pub(super) fn acknowledgements(written: &document::Acknowledge) -> Acknowledgements {
    Acknowledgements {
        seven_masters: written.seven_masters.as_ref().is_some_and(|written| written.value),
        even_masters_until: written.even_masters_until.as_ref().map(|written| Generation(written.value.number)),
        single_master_remains: written.single_master_remains.as_ref().is_some_and(|written| written.value),
    }
}

/// One second, the default of RFC 9568 §6.1.
const ADVERTISE_INTERVAL_CS: u16 = 100;
/// Short against the time clients wait, long against one slow answer.
const PROBE_INTERVAL: Duration = Duration::from_secs(1);
/// One lost answer is not a failure; three in a row are.
const PROBE_FALL: u8 = 3;
/// One answer after a failure is not health yet.
const PROBE_RISE: u8 = 2;

#[cfg(test)]
mod tests;
