//! The status document: one account of this host and of the cluster as seen from it.
//!
//! `reconcile` is its only writer and replaces it once per round; `quorate status`, the metrics and the tests read it.
//! It says what was seen, when, and what is not known; it never guesses a peer's state from silence.

pub mod human;
pub mod metrics;

use crate::ident::{ClusterId, ClusterName, Digest, Generation, NodeName};
use crate::plan::Blocked;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The version of the document's form.
pub const SCHEMA: &str = "quorate/status/v1";

/// Everything `quorate status` shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
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
}

/// The part of a master in the virtual router.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
