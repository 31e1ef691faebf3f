//! The manifest as written: apiVersion `quorate/v1`, key by key.
//!
//! This is the public format. Reading, suggestions for misspelt keys, `quorate schema` and the table of fields in
//! `spec/manifest.md` all come from the declarations below. They say what may be written; what must hold *between*
//! fields is `super::check`, and the values that the rest of quorate works with are `super::Manifest`.
//! v1 only ever gains optional keys: a manifest that was valid stays valid and keeps its meaning.

use super::scalar::{Cidr, Fingerprint, HexId, HostName, HttpUrl, HttpsUrl, Milliseconds, Socket, SystemUuid};
use super::{Environment, Transport, VrrpChecksum, VrrpVersion};
use crate::ident::{ClusterId, ClusterName, Digest, LinkLabel, Mac, MachineId, NodeName};
use crate::trust::rollback::GenerationBounds;
use crate::version::ImageVersion;
use crate::yaml::object::object;
use crate::yaml::read::{Bounded, Bounds, Written};
use std::net::IpAddr;

object! {
    /// The manifest of one cluster.
    Document, "a manifest" {
        /// The version of this format.
        "apiVersion" api_version: ApiVersion = required("it tells programs how to read the rest"),
        /// What the document is.
        "kind" kind: Kind = required("it tells a manifest from other documents"),
        /// Which cluster and which generation of its manifest this is.
        "metadata" metadata: Metadata = required("without it a manifest of another cluster could be replayed here"),
        /// What the masters shall be.
        "spec" spec: Spec = required("it is what the masters converge to"),
    }
}

object! {
    /// Which cluster and which generation of its manifest this is.
    Metadata, "'metadata'" {
        /// Name of the cluster, for people.
        "name" name: ClusterName = required("people tell clusters apart by it"),
        /// UUID of the cluster. Never reused: hosts pin it and refuse a manifest of any other cluster.
        "clusterId" cluster_id: ClusterId = required("without it a manifest of another cluster could be replayed here"),
        /// Orders the manifests of a cluster; each change of content needs a higher one.
        "generation" generation: Bounded<GenerationBounds> =
            required("hosts refuse to go back to an older generation"),
        /// When it was written, RFC 3339 with time zone. Hosts without a clock take it as the least the time can be.
        "issuedAt" issued_at: jiff::Timestamp = required("hosts without a clock take it as the least the time can be"),
        /// From then on it is not accepted as new input. A manifest in force stays in force.
        "expiresAt" expires_at: jiff::Timestamp = default("it never expires"),
        /// The least version of the image that may take it up, compared with IMAGE_VERSION of os-release(5).
        "minImageVersion" min_image_version: ImageVersion = default("any image"),
        /// SHA-256 of the manifest of the generation before; a host that has that generation checks it.
        "supersedes" supersedes: Digest = default("not checked"),
    }
}

object! {
    /// What the masters shall be.
    Spec, "'spec'" {
        /// How strictly the number of masters is judged.
        "environment" environment: Environment = default("production"),
        /// The virtual IP that the active master holds.
        "vip" vip: Vip = required("clients reach the API server by it"),
        /// The masters, in order of preference for the VIP.
        "masters" masters: Vec<Written<Master>> = required("they are the cluster"),
        /// The virtual router.
        "vrrp" vrrp: Vrrp = default("the defaults of its fields"),
        /// Probes of this master's own services; a failing one lowers its claim to the VIP.
        "health" health: Vec<Written<Probe>> = default("no probes: a master that runs is healthy"),
        /// Whether the etcd cluster exists yet.
        "etcd" etcd: Etcd = required("a cluster that exists must never be formed a second time"),
        /// The certificates of the masters.
        "pki" pki: Pki = default("any CA is accepted from the drop"),
        /// Address ranges of the cluster that the VIP and the masters must stay out of.
        "networks" networks: Networks = default("not checked"),
        /// Risks that the signer takes knowingly.
        "acknowledge" acknowledge: Acknowledge = default("none"),
    }
}

object! {
    /// The virtual IP of the cluster.
    Vip, "'vip'" {
        /// One IPv4 address, one IPv6 address, or one of each.
        "addresses" addresses: Vec<Written<IpAddr>> = required("clients reach the API server by it"),
        /// The link that carries it on every master: kernel name, alternative name or MAC address.
        "interface" interface: LinkLabel = required("quorate never guesses a network interface"),
    }
}

object! {
    /// One master host.
    Master, "a master" {
        /// Name of the node and of its etcd member: an RFC 1123 label.
        "name" name: NodeName = required("etcd and people know it by this name"),
        /// Where the other masters reach it; the host of its etcd URLs.
        "address" address: IpAddr = required("the other masters reach it there"),
        /// How a host recognises itself as this master; every property that is named has to match.
        "identity" identity: Identity = required("a host has to know which master it is"),
        /// The link that carries the VIP on this master.
        "interface" interface: LinkLabel = default("'vip.interface'"),
    }
}

object! {
    /// How a host recognises itself; every property that is named has to match.
    Identity, "'identity'" {
        /// machine-id(5), 32 hexadecimal digits.
        "machineId" machine_id: MachineId = default("not compared"),
        /// MAC address of any of its network interfaces.
        "mac" mac: Mac = default("not compared"),
        /// Static host name.
        "hostname" hostname: HostName = default("not compared"),
        /// SMBIOS system serial number.
        "serial" serial: Serial = default("not compared"),
        /// SMBIOS system UUID; vendors are known to repeat some.
        "uuid" uuid: SystemUuid = default("not compared"),
    }
}

impl Identity {
    /// Whether it names no property at all.
    pub fn is_empty(&self) -> bool {
        let Identity { machine_id, mac, hostname, serial, uuid } = self;
        machine_id.is_none() && mac.is_none() && hostname.is_none() && serial.is_none() && uuid.is_none()
    }
}

object! {
    /// The virtual router (RFC 9568).
    Vrrp, "'vrrp'" {
        /// Identifies the virtual router on its link, 1 to 255.
        "routerId" router_id: Bounded<RouterIdBounds> = default("1 to 255, derived from 'clusterId'"),
        /// Time between two advertisements, 10ms to 40950ms in steps of 10ms.
        "advertiseInterval" advertise_interval: Milliseconds = default("1s"),
        /// How advertisements travel: multicast, or unicast where the network carries no multicast.
        "transport" transport: Transport = default("multicast"),
        /// Whether a preferred master that comes back takes the VIP from a working one.
        "preempt" preempt: bool = default("false"),
        /// With 'preempt': how long it has to have been back before it does, at most 10min.
        "preemptDelay" preempt_delay: Milliseconds = default("at once"),
        /// The version of VRRP: v3, or v2 while masters are migrated from something that speaks nothing else.
        "version" version: VrrpVersion = default("v3"),
        /// What the checksum covers in v3 over IPv4: pseudo-header while masters are migrated from keepalived or FRR.
        "checksum" checksum: VrrpChecksum = default("message-only"),
    }
}

object! {
    /// A probe of a service on this master; exactly one of 'https', 'http' and 'tcp'.
    Probe, "a probe" {
        /// A URL on loopback that has to answer 2xx; its certificate is not verified.
        "https" https: HttpsUrl = default("another kind of probe"),
        /// A URL that has to answer 2xx.
        "http" http: HttpUrl = default("another kind of probe"),
        /// host:port that has to accept a connection.
        "tcp" tcp: Socket = default("another kind of probe"),
        /// Time between two probes and the deadline of each, 100ms to 60s.
        "interval" interval: Milliseconds = default("1s"),
        /// Failures in a row that make it unhealthy, 1 to 20.
        "fall" fall: Bounded<StreakBounds> = default("3"),
        /// Successes in a row that make it healthy again, 1 to 20.
        "rise" rise: Bounded<StreakBounds> = default("2"),
    }
}

object! {
    /// Whether the etcd cluster exists yet; exactly one of 'phase', 'formed' and 'recovery'.
    Etcd, "'etcd'" {
        /// `genesis`: it does not exist yet, all masters together form it once.
        "phase" phase: Phase = default("'formed' is given"),
        /// It exists; it is never formed again.
        "formed" formed: Formed = default("'phase' is given"),
        /// It existed and lost its quorum for good: one master carries its data over into a new cluster, once.
        "recovery" recovery: Recovery = default("the cluster has its quorum"),
    }
}

object! {
    /// The etcd cluster that exists.
    Formed, "'formed'" {
        /// The etcd cluster id, 16 hexadecimal digits, as 'quorate status' shows it.
        "clusterId" cluster_id: HexId = required("it is what tells this cluster from one formed by mistake"),
    }
}

object! {
    /// The one order to give up an etcd cluster and to carry its data over into a new one.
    Recovery, "'recovery'" {
        /// The etcd cluster id that is given up, as 'quorate status' showed it. A cluster is given up only once.
        "lostClusterId" lost_cluster_id: HexId = required("a directive must not reach any other cluster than the one that is lost"),
        /// The master whose data is carried over; the others put theirs aside and join it.
        "from" from: NodeName = required("only one master's data can go on, and nobody but you can choose it"),
        /// SHA-256 of a snapshot in that master's /var/lib/quorate/etcd/snapshots, to be restored in place of its own data.
        "snapshot" snapshot: Digest = default("the data that 'from' has"),
        /// From then on it is not begun any more; at most a day after 'issuedAt'.
        "expiresAt" expires_at: jiff::Timestamp = required("an order to give up a cluster must not lie about for later"),
    }
}

object! {
    /// The certificates of the masters.
    Pki, "'pki'" {
        /// SHA-256 fingerprint of the cluster CA certificate, as 'quorate pki init' prints it.
        "ca" ca: Fingerprint = default("any CA is accepted from the drop"),
    }
}

object! {
    /// Address ranges of the cluster that the VIP and the masters must stay out of.
    Networks, "'networks'" {
        /// Ranges of the pods.
        "pods" pods: Vec<Written<Cidr>> = default("not checked"),
        /// Ranges of the services.
        "services" services: Vec<Written<Cidr>> = default("not checked"),
    }
}

object! {
    /// Risks that the signer takes knowingly.
    Acknowledge, "'acknowledge'" {
        /// Seven masters: every write waits for four of them.
        "sevenMasters" seven_masters: bool = default("false"),
        /// An even number of masters, up to and including this generation.
        "evenMastersUntil" even_masters_until: Bounded<GenerationBounds> = default("never"),
        /// Shrinking to a single master, which can never grow again.
        "singleMasterRemains" single_master_remains: bool = default("false"),
    }
}

/// `apiVersion`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiVersion;

/// `kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kind;

/// `spec.etcd.phase`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Phase;

/// `identity.serial`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial(pub String);

/// Bounds of a virtual router id (RFC 9568 §5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RouterIdBounds;

impl Bounds for RouterIdBounds {
    const BOUNDS: (u64, u64) = (1, 255);
    const WHAT: &'static str = "a virtual router id";
}

/// Bounds of `fall` and `rise`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreakBounds;

impl Bounds for StreakBounds {
    const BOUNDS: (u64, u64) = (1, 20);
    const WHAT: &'static str = "a number of probes in a row";
}
