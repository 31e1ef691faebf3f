//! The etcd member of this master: what the manifest asks for, what was found, and the next safe step.
//!
//! etcd trusts whoever configures it. It starts `new` on a wiped disk, it lets a majority of wiped members
//! re-form the old cluster id, and it never says that acknowledged writes are gone (E2, E2c, E3). quorate
//! owns the decisions that etcd leaves open: [`plan`] is the one pure function that takes them, row by row
//! (spec/etcd.md), [`genesis`] forms a cluster once, by unanimity, [`driver`] executes.
//!
//! An existing data directory is started at once and asks nobody. An empty one is never started `new`
//! outside genesis. A listed member is never removed for being unreachable. Data directories are archived by
//! rename, never deleted. Without a quorum read nothing is changed.

mod action;
pub mod alarm;
pub mod change;
pub mod client;
pub mod cluster;
mod condition;
pub mod driver;
mod error;
pub mod genesis;
pub mod highwater;
pub mod material;
pub mod membership;
pub mod observe;
pub mod plan;
pub mod poll;
pub mod probe;
pub mod recovery;
pub mod service;
pub mod snapshot;
pub mod storage;
pub mod summary;
pub mod survey;
pub mod version;
pub mod wal;
pub mod watch;

pub use action::Action;
pub use error::EtcdError;

use crate::file::ObservedFile;
use crate::ident::{ClusterId, Digest, Generation, NodeName};
use crate::manifest::{EtcdPhase, Manifest, Master};
use crate::plan::Blocked;
use crate::systemd::UnitState;
use cluster::{Condition, PeerSeen, View};
use genesis::Held;
use material::Material;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Where members serve clients.
pub const CLIENT_PORT: u16 = 2379;
/// Where members speak to each other.
pub const PEER_PORT: u16 = 2380;
/// Where the genesis agent attests while the cluster is unformed. Next to etcd's own ports, and unassigned.
pub const AGENT_PORT: u16 = 2382;

/// What the manifest asks of this master's etcd member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// This master; also the name of its member.
    pub me: NodeName,
    /// Its address.
    pub address: IpAddr,
    /// Every master and its address, this one included.
    pub members: BTreeMap<NodeName, IpAddr>,
    /// Whether the cluster may still be formed.
    pub phase: EtcdPhase,
    /// The manifest's cluster id.
    pub cluster: ClusterId,
    /// The manifest's generation.
    pub generation: Generation,
    /// The manifest's digest; what masters compare when they attest.
    pub digest: Digest,
}

impl Desired {
    /// What `manifest` asks of `master`.
    pub fn new(manifest: &Manifest, master: &Master) -> Self {
        Self {
            me: master.name.clone(),
            address: master.address,
            members: manifest.masters.iter().map(|master| (master.name.clone(), master.address)).collect(),
            phase: manifest.etcd.clone(),
            cluster: manifest.cluster_id.clone(),
            generation: manifest.generation,
            digest: manifest.digest,
        }
    }

    /// Whether the manifest names this master no more: not under this name at this address.
    pub fn is_leaving(&self) -> bool {
        self.members.get(&self.me) != Some(&self.address)
    }

    /// The other masters.
    pub fn peers(&self) -> impl Iterator<Item = (&NodeName, &IpAddr)> {
        self.members.iter().filter(|(_, address)| **address != self.address)
    }
}

/// The peer URL of a member at `address`.
pub fn peer_url(address: IpAddr) -> String {
    format!("https://{}", SocketAddr::new(address, PEER_PORT))
}

/// The client URL of a member at `address`.
pub fn client_url(address: IpAddr) -> String {
    format!("https://{}", SocketAddr::new(address, CLIENT_PORT))
}

/// What is in the etcd data directory. Only a directory that is proven to lie on writable, lasting storage
/// counts as absent or empty: an unmounted data partition is not a wipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase")]
pub enum DataDirectory {
    /// There is none.
    Absent,
    /// It holds no member data.
    Empty,
    /// It holds a write-ahead log: this was a member.
    HasWal,
    /// It holds member data without a write-ahead log; damaged, or not what quorate put there.
    Foreign {
        /// Which entry was found.
        found: String,
    },
    /// It could not be examined, or its storage is not proven.
    Unknown {
        /// The fact that is in the way.
        why: String,
    },
}

/// The member on this host, asked at its own endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Local {
    /// Nothing answers there.
    Silent {
        /// The error, as text.
        why: String,
    },
    /// It answers.
    Answers(LocalStatus),
}

/// What the member on this host says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalStatus {
    /// The etcd cluster id.
    pub cluster: u64,
    /// Its member id.
    pub member: u64,
    /// Its version.
    pub version: String,
    /// Whether it only learns.
    pub role: cluster::Role,
    /// The leader it knows, if any.
    pub leader: Option<u64>,
    /// Its raft term.
    pub term: u64,
    /// How far its state machine is.
    pub applied: u64,
    /// Its alarms, in etcd's words: NOSPACE, CORRUPT. A member with one serves no writes, or wrong ones.
    pub alarms: Vec<String>,
}

/// What was found on this host and among its peers.
#[derive(Debug, Clone)]
pub struct Observed {
    /// The etcd data directory.
    pub data: DataDirectory,
    /// Whether there is room for a new member; why not, otherwise.
    pub room: Result<(), String>,
    /// Where the log cannot be read; looked for only when etcd does not start from it.
    pub damage: Option<wal::damage::Damage>,
    /// The data directory's stamp, if it exists.
    pub stamp: Option<genesis::Stamp>,
    /// The marker.
    pub held: Held,
    /// `quorate-etcd.service`.
    pub unit: UnitState,
    /// The node's key, certificate and cluster CA.
    pub material: Result<Material, String>,
    /// What is rendered for the unit, by path.
    pub files: BTreeMap<PathBuf, ObservedFile>,
    /// The member on this host.
    pub local: Local,
    /// The other masters' peer ports; not asked while this host's member reads with quorum.
    pub peers: BTreeMap<NodeName, PeerSeen>,
    /// The member list, if somebody gave it behind a quorum read.
    pub view: Option<View>,
    /// How the listed members answer, by member id; asked only where a change of the list is at stake.
    pub conditions: BTreeMap<u64, Condition>,
    /// What is known of the data's past, while etcd is stopped.
    pub past: highwater::Seen,
    /// The versions of the members that answered, by member id.
    pub versions: BTreeMap<u64, String>,
    /// For how long learners and members of no manifest have stood still.
    pub watched: watch::Watched,
    /// Looked at only where a recovery is asked for or a given-up cluster's data may be here.
    pub recovery: Option<recovery::Seen>,
    /// Where rendered files and data live on this host.
    pub places: Places,
}

/// The paths that rendered files and the unit's environment name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// Directory of everything rendered for the unit.
    pub run: PathBuf,
    /// etcd's data directory.
    pub data: PathBuf,
}

/// The part's own spelling of a blocked item.
pub(crate) fn blocked(
    hold: crate::plan::Hold,
    what: &str,
    why: impl Into<String>,
    unblock: impl Into<String>,
) -> Blocked {
    Blocked { part: crate::plan::Part::Etcd, hold, what: what.to_owned(), why: why.into(), unblock: unblock.into() }
}
