//! The status document: one account of this host and of the cluster as seen from it.
//!
//! `reconcile` is its only writer and replaces it once per round; `quorate status`, the metrics and the tests read it.
//! It says what was seen, when, and what is not known; it never guesses a peer's state from silence.
//!
//! The document holds facts. What they mean for somebody on call (how bad, why, what to do) is computed from it by
//! [`findings`], once, for the screen, the page, the exit code and `--json` alike.

pub mod changes;
pub mod compose;
pub mod elapsed;
pub mod findings;
pub mod human;
pub mod metrics;
pub mod notice;
pub mod page;
mod picture;

use crate::ident::{ClusterId, ClusterName, Digest, Generation, NodeName};
use crate::plan::{Blocked, Part};
use crate::vrrp::packet::Discard;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

/// The version of the document's form.
pub const SCHEMA: &str = "quorate/status/v1";

/// Everything `quorate status` shows. Unknown fields are let pass, so that what `quorate status --json` prints (the
/// document with its verdict and findings beside it) reads back as the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: String,
    /// When the observation below was made.
    pub at: jiff::Timestamp,
    /// How far this host is.
    pub phase: Phase,
    /// Which master this host is; none without a manifest that names it.
    pub host: Option<NodeName>,
    /// The manifest in force.
    pub manifest: Option<ManifestStatus>,
    /// Drops that were refused, and why; the manifest in force is not touched by them.
    pub refused_drops: Vec<RefusedDrop>,
    /// The VIP; none without a manifest.
    pub vip: Option<VipStatus>,
    /// Every master of the manifest.
    pub masters: Vec<MasterStatus>,
    /// The etcd cluster.
    pub etcd: EtcdStatus,
    /// What is being carried out right now; none between runs.
    #[serde(default)]
    pub activity: Option<Activity>,
    /// The certificates that this host works with.
    #[serde(default)]
    pub certificates: Vec<CertificateStatus>,
    /// The health probes of this host, as its VRRP daemon last saw them.
    #[serde(default)]
    pub probes: Vec<ProbeStatus>,
    /// The file systems that quorate and etcd write to, each once.
    #[serde(default)]
    pub storage: Vec<Volume>,
    /// What works, and should be looked at all the same; from the planners, for example an etcd version with a known
    /// fault.
    #[serde(default)]
    pub warnings: Vec<Warning>,
    /// What the last plan still wants to do, in words.
    pub pending: Vec<String>,
    /// What is not done, and why.
    pub blocked: Vec<Blocked>,
    /// Steps that failed in the last run.
    pub failed: Vec<FailedStep>,
}

/// How far this host is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// No manifest was ever accepted here.
    NoManifest,
    /// A run is at work.
    Converging,
    /// The last plan was empty.
    Converged,
    /// Something named is on its way.
    Waiting,
    /// Something was refused.
    Refused,
    /// A step failed.
    Failed,
}

/// The manifest in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ManifestStatus {
    /// `metadata.name`.
    pub cluster: ClusterName,
    /// `metadata.clusterId`.
    pub cluster_id: ClusterId,
    /// `metadata.generation`.
    pub generation: Generation,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Where it was found when it was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
}

/// A drop that is not in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RefusedDrop {
    /// Where it lies.
    pub origin: String,
    /// Why it is refused.
    pub why: String,
}

/// The VIP as this host sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VipStatus {
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The link that carries it here, when one can.
    pub link: Option<String>,
    /// Who answers for it, as far as this host's VRRP daemon knows.
    pub active: Option<NodeName>,
    /// The latest changes of this host's own part, oldest first: as many as its daemon keeps.
    #[serde(default)]
    pub transitions: Vec<Transition>,
    /// How often this host's part has changed since its daemon started; none while the daemon is not heard.
    #[serde(default)]
    pub transitions_total: Option<u64>,
    /// What this host's daemon has counted since it started; none while the daemon is not heard.
    #[serde(default)]
    pub counters: Option<VrrpCounters>,
}

/// What the VRRP daemon of this host has counted since it started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VrrpCounters {
    /// Advertisements accepted.
    pub received: u64,
    /// Advertisements sent, once per family and peer.
    pub sent: u64,
    /// Advertisements that the kernel refused to send.
    pub send_failures: u64,
    /// Advertisements sent late by a tenth of their interval or more.
    pub late: u64,
    /// Times that the kernel lease on the VIP was extended.
    pub fence_refreshes: u64,
    /// Datagrams not acted upon, by reason.
    pub discards: BTreeMap<Discard, u64>,
}

/// One change of this host's part in the virtual router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Transition {
    /// When.
    pub at: jiff::Timestamp,
    /// The part before.
    pub from: VrrpRole,
    /// The part since.
    pub to: VrrpRole,
    /// The daemon's reason, in words.
    pub why: String,
}

/// One master as seen from this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MasterStatus {
    /// Its name in the manifest.
    pub name: NodeName,
    /// Its address in the manifest.
    pub address: IpAddr,
    /// Its part in the virtual router.
    pub vrrp: VrrpRole,
    /// Its part in the etcd cluster.
    pub member: MemberRole,
    /// Whether its etcd member answers.
    pub health: Health,
    /// The generation it ran when it last told; none without a notice.
    #[serde(default)]
    pub generation: Option<Generation>,
}

/// The part of a master in the virtual router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VrrpRole {
    /// It answers for the VIP (RFC 9568 Active).
    Active,
    /// It is ready to take over.
    Backup,
    /// Its daemon runs but cannot take part (RFC 9568 Initialize).
    Initialize,
    /// Not known from here.
    Unknown,
}

/// The part of a master in the etcd cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberRole {
    /// A voter that leads.
    Leader,
    /// A voter.
    Voter,
    /// A learner: receives the log, has no vote.
    Learner,
    /// The member list, read with quorum, does not have it.
    Absent,
    /// Not known from here.
    Unknown,
}

/// Whether an etcd member answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It answers at its own endpoint.
    Healthy,
    /// It does not, or not in order.
    Unhealthy,
    /// It was not asked.
    Unknown,
}

/// The etcd cluster as seen from this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum EtcdStatus {
    /// Not formed, as far as is known here.
    Unformed,
    /// A read with quorum succeeded.
    Quorate {
        /// etcd's cluster id, 16 hexadecimal digits; what `spec.etcd.formed.clusterId` is sealed with.
        cluster_id: String,
        /// Voters.
        voters: usize,
        /// Voters that answer.
        healthy: usize,
        /// Voters that may be lost from here on before quorum is lost.
        may_lose: usize,
    },
    /// A cluster exists, but no read with quorum succeeded from here.
    NoQuorum {
        /// What was tried.
        why: String,
    },
    /// Nothing is known.
    Unknown {
        /// Why.
        why: String,
    },
}

/// A step that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FailedStep {
    /// The step, in words.
    pub step: String,
    /// The error with its causes.
    pub error: String,
}

/// The step under way, with its limit: whatever may take long says what it waits for and until when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Activity {
    /// The step, in words.
    pub step: String,
    /// What it waits for, and on whom.
    pub progress: String,
    /// When it began.
    pub since: jiff::Timestamp,
    /// When it gives up.
    pub deadline: Option<jiff::Timestamp>,
}

/// A certificate this host works with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateStatus {
    /// Which one.
    pub certificate: Certificate,
    /// The end of its validity.
    pub not_after: jiff::Timestamp,
}

/// The certificates of the node bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certificate {
    /// This master's own.
    Node,
    /// The one it is signed with.
    ClusterCa,
}

/// A file system that has to take what is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Volume {
    /// What is written to it.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// What is left of it.
    pub available_bytes: u64,
    /// How many more files it takes; none where the file system does not count them.
    pub available_files: Option<u64>,
}

/// One health probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProbeStatus {
    /// What is asked, as the manifest writes it.
    pub target: String,
    /// The verdict after rise and fall counts.
    pub health: Health,
    /// The last failure, while it is not healthy.
    pub why: Option<String>,
}

/// Something that works and should be looked at all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Warning {
    /// The part of the host it concerns.
    pub part: Part,
    /// The fact.
    pub what: String,
    /// What an administrator does about it.
    pub remedy: String,
}
