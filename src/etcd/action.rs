//! What can be done to this host's member, one concrete step at a time.

use super::cluster::Listed;
use super::genesis::{self, Marker};
use super::{change, recovery};
use crate::file::RenderedFile;
use crate::ident::NodeName;
use crate::systemd::UnitAction;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One concrete step on this host's member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "camelCase")]
pub enum Action {
    /// Take part in the first formation until this master is committed, or another cluster shows itself.
    FormCluster {
        /// All who have to agree.
        with: Vec<NodeName>,
    },
    /// Stay, and let stragglers learn of the commitment, until the member reads with quorum.
    AwaitFormation,
    /// Make a marker durable.
    WriteMarker {
        /// The marker.
        marker: Marker,
    },
    /// Write a file for the unit.
    Render {
        /// The file.
        file: RenderedFile,
    },
    /// Add this master as a learner.
    AddLearner {
        /// The cluster to join.
        cluster: u64,
        /// The URL under which the peers will reach it.
        peer_url: String,
    },
    /// Remove a member: this master's own stale entry, or one that no manifest names.
    RemoveMember {
        /// The cluster.
        cluster: u64,
        /// Its entry, as it stood when this was decided.
        entry: Listed,
    },
    /// Remove another master's learner that stands still, unless it moves after all.
    EvictLearner {
        /// The cluster.
        cluster: u64,
        /// Its entry, as it stood when this was decided.
        entry: Listed,
        /// How far it had applied the log then, if it said so.
        applied: Option<u64>,
    },
    /// Put a dead data directory aside.
    ArchiveData {
        /// Name of the archive inside the data directory: the same file system, so that it is one rename.
        name: String,
    },
    /// Make this master's learner a voter once it has caught up.
    Promote {
        /// The cluster.
        cluster: u64,
        /// Its member id.
        member: u64,
    },
    /// Note in etcd and on this host that the cluster exists and this master belongs to it.
    RecordFormed {
        /// The etcd cluster id.
        etcd: u64,
        /// This master's member id.
        member: u64,
        /// The genesis it came from, for the record in etcd.
        round: Option<genesis::Round>,
    },
    /// A step of a signed recovery.
    Recovery(recovery::Action),
    /// Bring the unit up or down.
    Unit(UnitAction),
}

impl Action {
    /// Whether it changes the cluster's member list.
    pub fn changes_members(&self) -> bool {
        matches!(
            self,
            Action::AddLearner { .. }
                | Action::RemoveMember { .. }
                | Action::EvictLearner { .. }
                | Action::Promote { .. }
        )
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::FormCluster { with } => {
                let with: Vec<_> = with.iter().map(NodeName::as_str).collect();
                write!(f, "form the etcd cluster together with {}", with.join(", "))
            }
            Action::AwaitFormation => f.write_str("stay until the new etcd cluster has its quorum"),
            Action::WriteMarker { marker } => write!(f, "note that this master is {marker}"),
            Action::Render { file } => write!(f, "write '{}'", file.path.display()),
            Action::AddLearner { cluster, peer_url } => {
                write!(f, "add {peer_url} as a learner of etcd cluster {cluster:x}")
            }
            Action::RemoveMember { cluster, entry } => {
                write!(f, "remove member {} from etcd cluster {cluster:x}", change::label(entry))
            }
            Action::EvictLearner { cluster, entry, .. } => {
                write!(f, "remove the stuck learner {} from etcd cluster {cluster:x}", change::label(entry))
            }
            Action::ArchiveData { name } => write!(f, "put the dead data directory aside as 'archive/{name}'"),
            Action::Promote { member, .. } => write!(f, "make member {member:x} a voter once it has caught up"),
            Action::RecordFormed { etcd, member, .. } => {
                write!(f, "record that etcd cluster {etcd:x} exists with this master as member {member:x}")
            }
            Action::Recovery(action) => action.fmt(f),
            Action::Unit(action) => action.fmt(f),
        }
    }
}
