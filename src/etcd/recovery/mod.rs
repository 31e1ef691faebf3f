//! Recovery of a cluster that lost its quorum for good, by a signed directive and only once (spec/etcd.md).
//!
//! One master carries the data of the lost cluster over into a new one with another etcd id; the others put theirs aside
//! and join. [`plan`] decides from the directive, the marker and what is seen; [`restore`] carries it out. Nothing here
//! begins without a directive that names the lost cluster, and nothing is deleted.

pub mod plan;
pub mod restore;

use super::cluster::PeerSeen;
use super::genesis::Nonce;
use crate::ident::{ClusterId, Digest};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A recovery that this master has begun: what it wrote down before it touched anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Begun {
    /// The etcd cluster that is given up.
    pub lost: u64,
    /// This master's member id in it; 0 when its data was gone before.
    pub member: u64,
    /// What makes the new cluster differ from every other that could come out of the same data.
    pub nonce: Nonce,
    /// The snapshot to restore, if not the data of this master.
    pub snapshot: Option<Digest>,
    /// How far it is.
    pub stage: Stage,
}

impl Begun {
    /// The new cluster's initial token; its etcd id hangs on it.
    pub fn token(&self, cluster: &ClusterId) -> String {
        Digest::of(format!("quorate recovery {cluster} {:016x} {}", self.lost, self.nonce).as_bytes()).to_string()
    }

    /// Name of the archive of the old data.
    pub fn archive(&self) -> String {
        format!("{:x}-{:x}", self.lost, self.member)
    }
}

/// How far a recovery is on this master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// The loss was affirmed. Data in the directory is the old one.
    Affirmed,
    /// The old data is in the archive. Data in the directory is the restored one.
    Aside,
}

/// What a cluster that came out of a recovery records of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Recovered {
    /// The nonce of the recovery that made it.
    pub nonce: Nonce,
    /// Every etcd cluster that was given up on the way, oldest first.
    pub given_up: Vec<u64>,
}

/// What only a recovery asks of an observation.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The time; a directive is not begun after its end.
    pub now: jiff::Timestamp,
    /// What this master's own peer port shows: etcd serves clients only once it has seen a leader, this at once.
    pub own_port: PeerSeen,
}

/// One step of a recovery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "recovery", rename_all = "camelCase")]
pub enum Action {
    /// Make sure for a while that the cluster is lost, and note that its recovery has begun.
    Affirm {
        /// The etcd cluster.
        lost: u64,
        /// This master's member id in it.
        member: u64,
        /// The snapshot to restore, if not the data of this master.
        snapshot: Option<Digest>,
    },
    /// Restore the data into a new directory, as the first member of a new cluster.
    Restore {
        /// What is restored.
        begun: Begun,
    },
    /// Note in the new cluster where it came from, and here that this master is its member.
    Record {
        /// The new etcd cluster id.
        etcd: u64,
        /// This master's member id in it.
        member: u64,
        /// What was restored.
        begun: Begun,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Affirm { lost, .. } => {
                write!(f, "affirm that etcd cluster {lost:x} is lost, and begin its recovery")
            }
            Action::Restore { begun: Begun { snapshot: Some(snapshot), .. } } => {
                write!(f, "restore snapshot {} as a new etcd cluster", snapshot.short())
            }
            Action::Restore { begun } => write!(f, "restore 'archive/{}' as a new etcd cluster", begun.archive()),
            Action::Record { etcd, begun, .. } => {
                write!(f, "record that etcd cluster {etcd:x} follows {:x}, which is given up", begun.lost)
            }
        }
    }
}
