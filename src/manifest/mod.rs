//! The cluster manifest: the words that every other part reads.
//!
//! A manifest passes through three types, one file each: [`document`] is the YAML as written, with the
//! place of every value; [`parse`] turns it into the [`Manifest`] below and reports all findings at once;
//! [`identity`] tells which of its masters this host is. Where manifests come from is [`source`].
//!
//! Every value here is valid by construction: addresses are typed, durations are integers with a unit,
//! the master count has passed `quorum::policy`. Nothing here says what this host shall do about it.

pub mod change;
mod check;
pub mod document;
pub mod identity;
pub mod intake;
pub mod parse;
pub mod refusal;
pub mod scalar;
pub mod schema;
pub mod source;
pub mod succession;

pub use crate::quorum::Environment;

use crate::ident::{ClusterId, ClusterName, Digest, Generation, LinkLabel, Mac, MachineId, NodeName, Vrid};
use crate::quorum::membership::Seat;
use crate::quorum::policy::Acknowledgements;
use crate::trust::rollback::HighWater;
use crate::version::ImageVersion;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::time::Duration;

/// The file in a drop directory that holds a master's key and certificates.
pub const DROPPED_BUNDLE: &str = "node.pem";

/// No honest bundle is larger: three PEM blocks of a few hundred bytes each.
pub const MOST_BUNDLE_BYTES: usize = 64 * 1024;

/// One generation of a cluster's manifest, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// `metadata.name`.
    pub name: ClusterName,
    /// `metadata.clusterId`.
    pub cluster_id: ClusterId,
    /// `metadata.generation`.
    pub generation: Generation,
    /// SHA-256 of the bytes as written; what masters compare when they attest.
    pub digest: Digest,
    /// `metadata.issuedAt`.
    pub issued_at: jiff::Timestamp,
    /// `metadata.expiresAt`: not accepted as new input afterwards; what is in force stays in force.
    pub expires_at: Option<jiff::Timestamp>,
    /// `metadata.supersedes`: digest of the generation before.
    pub supersedes: Option<Digest>,
    /// `metadata.minImageVersion`: an older image does not accept it as new input.
    pub min_image_version: Option<ImageVersion>,
    /// `spec.environment`.
    pub environment: Environment,
    /// `spec.vip`.
    pub vip: Vip,
    /// `spec.masters`, in order of preference for the VIP.
    pub masters: Vec<Master>,
    /// `spec.vrrp`.
    pub vrrp: Vrrp,
    /// `spec.health`.
    pub health: Vec<Probe>,
    /// `spec.etcd`.
    pub etcd: EtcdPhase,
    /// `spec.acknowledge`: risks the signer took knowingly.
    pub acknowledged: Acknowledgements,
    /// `spec.pki.ca`: SHA-256 of the cluster CA certificate (DER) that node bundles must chain to.
    pub ca: Option<Digest>,
}

impl Manifest {
    /// The master of that name.
    pub fn master(&self, name: &NodeName) -> Option<&Master> {
        self.masters.iter().find(|master| master.name == *name)
    }

    /// What the ratchet keeps of it.
    pub fn mark(&self) -> HighWater {
        HighWater { cluster_id: self.cluster_id.clone(), generation: self.generation, digest: self.digest }
    }

    /// The masters as the quorum rules see them.
    pub fn seats(&self) -> Vec<Seat> {
        self.masters.iter().map(|master| Seat { name: master.name.clone(), address: master.address }).collect()
    }

    /// The interface label for one master: its own, or the cluster's.
    pub fn interface_of<'a>(&'a self, master: &'a Master) -> &'a LinkLabel {
        master.interface.as_ref().unwrap_or(&self.vip.interface)
    }
}

/// The virtual IP of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vip {
    /// One IPv4, one IPv6, or one of each.
    pub addresses: Vec<IpAddr>,
    /// The link that carries it, unless a master overrides it.
    pub interface: LinkLabel,
}

/// One master host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Master {
    /// Node name and etcd member name.
    pub name: NodeName,
    /// Where its peers reach it; also the base of its etcd URLs.
    pub address: IpAddr,
    /// How a host recognises itself as this master.
    pub identity: Identity,
    /// Overrides `spec.vip.interface` on this master.
    pub interface: Option<LinkLabel>,
}

/// What a host compares with itself; every named property has to match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// machine-id(5).
    pub machine_id: Option<MachineId>,
    /// MAC address of any of its links.
    pub mac: Option<Mac>,
    /// Static host name.
    pub hostname: Option<String>,
    /// SMBIOS system serial number.
    pub serial: Option<String>,
    /// SMBIOS system UUID, lower case.
    pub uuid: Option<String>,
}

/// The virtual router, without what is derived from the order of masters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vrrp {
    /// `routerId`.
    pub router_id: Vrid,
    /// `advertiseInterval`: 10 ms to 40.95 s in steps of 10 ms (RFC 9568 §5.2.7, 12 bits of centiseconds).
    pub advertise_interval_cs: u16,
    /// `transport`.
    pub transport: Transport,
    /// `preempt`: whether a preferred master that comes back takes the VIP from a working one.
    pub preempt: bool,
    /// `preemptDelay`: how long it has to have been back before it does.
    pub preempt_delay: Duration,
    /// `version`.
    pub version: VrrpVersion,
    /// `checksum`.
    pub checksum: VrrpChecksum,
}

/// Which VRRP is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VrrpVersion {
    /// VRRPv3, RFC 9568.
    V3,
    /// VRRPv2, RFC 3768: IPv4 and whole seconds, for taking over from what speaks nothing else.
    V2,
}

/// What the checksum of a VRRPv3 advertisement over IPv4 covers; both forms are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VrrpChecksum {
    /// The message alone (RFC 9568 §5.2.8).
    MessageOnly,
    /// The pseudo-header as well (RFC 5798 §5.2.8): what keepalived and FRR insist on.
    PseudoHeader,
}

/// How advertisements travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// To 224.0.0.18 and ff02::12 (RFC 9568 §5.1).
    Multicast,
    /// To each of the other masters; their addresses are the only accepted sources.
    Unicast,
}

/// A health probe whose failure lowers this master's priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// What is asked.
    pub target: ProbeTarget,
    /// Time between two probes; also the deadline of one.
    pub interval: Duration,
    /// Failures in a row that make it unhealthy.
    pub fall: u8,
    /// Successes in a row that make it healthy again.
    pub rise: u8,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeTarget {
    /// A TCP connection, `host:port`.
    Tcp(String),
    /// A 2xx answer over HTTP.
    Http(String),
    /// A 2xx answer over HTTPS from loopback; its certificate is not verified.
    Https(String),
}

/// `spec.etcd`: whether the cluster may still be formed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EtcdPhase {
    /// It does not exist yet; all masters together may form it once.
    Genesis,
    /// It exists under this etcd cluster id (16 hexadecimal digits); it is never formed again.
    Formed {
        /// The id that every member must report.
        cluster_id: u64,
    },
    /// It lost its quorum for good; one master carries its data over into a new cluster, once.
    Recovery(Recovery),
}

/// `spec.etcd.recovery`: the one order to give up an etcd cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// `lostClusterId`: the etcd cluster that is given up.
    pub lost: u64,
    /// `from`: whose data goes on.
    pub from: NodeName,
    /// `snapshot`: digest of the snapshot that is restored in place of that master's own data.
    pub snapshot: Option<Digest>,
    /// `expiresAt`: not begun any more from then on.
    pub expires_at: jiff::Timestamp,
}
