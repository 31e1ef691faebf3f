//! The daemon's configuration: a JSON document that the reconciler renders and `quorate-vrrpd --check` explains.
//!
//! Everything that follows from the manifest's order is already in it (see [`super::derive`]): the daemon knows no manifest.
//! [`Config::parse`] reports every problem at once; a document with one is not run.

use super::health::target::endpoint;
use super::machine::{Preempt, Rules, lease};
use super::packet::{ChecksumForm, Family, OWNER, TTL, Version};
use super::time::Interval;
use crate::ident::Vrid;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// As many IPv6 addresses as an advertisement carries in an Ethernet frame: (1500 - 40 - 8) / 16.
const ADDRESSES_MAX: usize = 90;
/// An address lifetime that is not the only fence: long enough that a slow kernel never costs the VIP.
const LIFETIME_BEHIND_LEASE: Duration = Duration::from_secs(10);
/// The kernel counts lifetimes in seconds, and checks them with up to a quarter of one to spare.
const LIFETIME_MIN: Duration = Duration::from_secs(2);

/// What `quorate-vrrpd` runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The virtual routers; none is allowed and holds nothing.
    pub routers: Vec<Router>,
    /// Health probes; one that fails makes every router here unhealthy.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
}

/// One virtual router: one machine, in every family that its addresses have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Router {
    /// Its id, unique on its link.
    pub vrid: Vrid,
    /// Kernel name of the link that carries it.
    pub link: String,
    /// VRRPv3 unless something old has to be migrated from.
    #[serde(default)]
    pub version: Version,
    /// 255 owns the addresses and always preempts.
    pub priority: u8,
    /// Advertised while a probe fails.
    pub unhealthy_priority: u8,
    /// The lowest priority that a healthy router of this cluster advertises.
    pub healthy_from: u8,
    /// In centiseconds.
    pub advert_interval_cs: Interval,
    /// Whether a working Active is taken over from.
    pub preempt: Preempt,
    /// How advertisements travel.
    pub transport: Transport,
    /// The form of checksum sent in VRRPv3 over IPv4.
    #[serde(default)]
    pub checksum: ChecksumForm,
    /// Lowest TTL accepted; below 255 only for unicast peers behind a router.
    #[serde(default = "ttl_default")]
    pub ttl_min: u8,
    /// The virtual addresses, in the order of advertisement; IPv6 ones start with a link-local one.
    pub addresses: Vec<IpAddr>,
}

fn ttl_default() -> u8 {
    TTL
}

/// How advertisements travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Transport {
    /// To 224.0.0.18 and ff02::12.
    Multicast,
    /// To each peer; nobody else is listened to (R17).
    Unicast {
        /// The other masters.
        peers: Vec<IpAddr>,
    },
}

/// A health probe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Probe {
    /// What is asked.
    pub target: Target,
    /// Time between two probes; also the deadline of one.
    pub interval_ms: u32,
    /// Failures in a row that make it unhealthy.
    pub fall: u8,
    /// Successes in a row that make it healthy again.
    pub rise: u8,
}

/// What a probe asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Target {
    /// A TCP connection, `host:port`.
    Tcp(String),
    /// A 2xx answer over HTTP.
    Http(String),
    /// A 2xx answer over HTTPS from a loopback address, whose certificate is not verified.
    Https(String),
}

/// Why a document is not run.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// It is not the JSON document described here.
    #[error("it is not a configuration as spec/vrrp.md describes it")]
    Json(#[from] serde_json::Error),
    /// It contradicts itself or the protocol; every problem is listed.
    #[error("{}", .0.join("; "))]
    Problems(Vec<String>),
}

impl Config {
    /// Reads and validates a document.
    ///
    /// # Errors
    /// Names every problem.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConfigError> {
        let config: Config = serde_json::from_slice(bytes)?;
        let mut problems = Vec::new();
        let (mut seen, mut holders) = (BTreeSet::new(), BTreeMap::new());
        for router in &config.routers {
            if !seen.insert((&router.link, router.vrid)) {
                problems.push(format!("virtual router {} on '{}' is there twice", router.vrid, router.link));
            }
            problems.extend(
                router
                    .problems()
                    .map(|problem| format!("virtual router {} on '{}': {problem}", router.vrid, router.link)),
            );
            for address in &router.addresses {
                if let Some(other) =
                    holders.insert((&router.link, address), router.vrid).filter(|other| *other != router.vrid)
                {
                    problems.push(format!("{address} is an address of virtual router {other} and of {}", router.vrid));
                }
            }
        }
        for probe in &config.probes {
            if probe.interval_ms == 0 || probe.fall == 0 || probe.rise == 0 {
                problems.push(format!("probe {}: interval, fall and rise must be at least 1", probe.target));
            }
            if let Err(why) = endpoint(&probe.target) {
                problems.push(format!("probe {}: {why}", probe.target));
            }
        }
        if problems.is_empty() { Ok(config) } else { Err(ConfigError::Problems(problems)) }
    }

    /// The document as it is rendered: for people too, and the same text for the same configuration.
    pub fn render(&self) -> Vec<u8> {
        // Serialising plain data into memory cannot fail; an empty document would be refused by `parse`.
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        text.push(b'\n');
        text
    }
}

impl Router {
    /// The virtual addresses of one family, in order.
    pub fn addresses_of(&self, family: Family) -> Vec<IpAddr> {
        self.addresses.iter().copied().filter(|address| Family::of(*address) == family).collect()
    }

    /// Where advertisements of one family go; nowhere if this router does not advertise in it. A router whose unicast peers
    /// have one family advertises in that one, and its addresses of the other family move along.
    pub fn destinations(&self, family: Family) -> Vec<IpAddr> {
        if self.addresses_of(family).is_empty() {
            return Vec::new();
        }
        match &self.transport {
            Transport::Multicast => vec![family.group()],
            Transport::Unicast { peers } => peers.iter().copied().filter(|peer| Family::of(*peer) == family).collect(),
        }
    }

    /// The families it advertises in; the first is the one in which equal routers compare addresses.
    pub fn families(&self) -> Vec<Family> {
        [Family::V4, Family::V6].into_iter().filter(|family| !self.destinations(*family).is_empty()).collect()
    }

    /// What the machine needs to know.
    pub fn rules(&self, fence: Fence) -> Rules {
        Rules {
            version: self.version,
            priority: self.priority,
            unhealthy_priority: self.unhealthy_priority,
            healthy_from: self.healthy_from,
            interval: self.advert_interval_cs,
            preempt: self.preempt,
            lead: self.families().first().copied().unwrap_or(Family::V4),
            lifetime: self.lifetime(fence),
        }
    }

    /// How long an address stays on the link without being renewed. Where it is the only fence it is the largest number of
    /// seconds below three intervals, so that it ends before a successor starts if the interval allows that at all.
    pub fn lifetime(&self, fence: Fence) -> Duration {
        let silence = self.advert_interval_cs.span() * 3;
        match fence {
            Fence::Lease => LIFETIME_BEHIND_LEASE.max(silence + Duration::from_secs(1)),
            Fence::LifetimeOnly => LIFETIME_MIN.max(Duration::from_secs((silence - Duration::from_nanos(1)).as_secs())),
        }
    }

    fn problems(&self) -> impl Iterator<Item = String> {
        let mut problems = Vec::new();
        let mut bad = |is: bool, what: String| {
            if is {
                problems.push(what);
            }
        };
        let name = &self.link;
        let named =
            (1..=15).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/' && b != b'"');
        bad(!named, format!("'{name}' is not the kernel name of a link, at most 15 visible characters"));
        bad(self.priority == 0, "priority 0 means resignation; write 1 to 255".into());
        bad(self.unhealthy_priority == 0, "unhealthyPriority 0 means resignation; write 1 to 254".into());
        bad(
            self.unhealthy_priority > self.priority,
            format!("unhealthyPriority {} is above priority {}", self.unhealthy_priority, self.priority),
        );
        bad(self.addresses.is_empty(), "it has no address; write at least one (RFC 9568 §5.2.5)".into());
        let distinct: BTreeSet<_> = self.addresses.iter().collect();
        bad(distinct.len() < self.addresses.len(), "an address is there twice".into());
        let v6 = self.addresses_of(Family::V6);
        bad(
            v6.len() > ADDRESSES_MAX || self.addresses_of(Family::V4).len() > ADDRESSES_MAX,
            format!("more than {ADDRESSES_MAX} addresses of one family do not fit an advertisement"),
        );
        let unusable = |address: &IpAddr| {
            address.is_unspecified()
                || address.is_multicast()
                || address.is_loopback()
                || matches!(address, IpAddr::V4(v4) if v4.is_broadcast())
        };
        for address in self.addresses.iter().filter(|address| unusable(address)) {
            bad(true, format!("{address} cannot be a virtual address"));
        }
        let link_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        bad(
            v6.first().is_some_and(|first| !link_local(first)),
            "the first IPv6 address must be link-local (RFC 9568 §5.2.9), such as fe80::70:33".into(),
        );
        bad(!self.addresses.is_empty() && self.families().is_empty(), "no peer has the family of its addresses".into());
        if self.version == Version::V2 {
            bad(!v6.is_empty(), "VRRPv2 has no IPv6; write version v3 (RFC 3768 §5)".into());
            bad(
                !self.advert_interval_cs.centiseconds().is_multiple_of(100),
                format!("VRRPv2 advertises in whole seconds, not every {}", self.advert_interval_cs),
            );
        }
        bad(
            self.ttl_min < TTL && self.transport == Transport::Multicast,
            "ttlMin below 255 would accept multicast from other networks".into(),
        );
        problems.into_iter()
    }
}

/// What stops us from answering for an address when the daemon cannot any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fence {
    /// A kernel lease of milliseconds (nftables), and the address lifetime behind it.
    Lease,
    /// The address lifetime alone.
    LifetimeOnly,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tcp(address) => write!(f, "tcp://{address}"),
            Target::Http(url) | Target::Https(url) => f.write_str(url),
        }
    }
}

/// What `--check` prints: what the configuration means in time.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for router in &self.routers {
            let interval = router.advert_interval_cs;
            let silence = interval.span() * 3 + interval.skew(router.priority);
            writeln!(f, "virtual router {} on {}: {:?}", router.vrid, router.link, router.version)?;
            let addresses: Vec<_> = router.addresses.iter().map(ToString::to_string).collect();
            writeln!(f, "  addresses         {}", addresses.join(", "))?;
            let owner = if router.priority == OWNER { " (owner)" } else { "" };
            writeln!(
                f,
                "  priority          {}{owner}, {} while unhealthy",
                router.priority, router.unhealthy_priority
            )?;
            match &router.transport {
                Transport::Multicast => writeln!(f, "  advertises        every {interval} by multicast")?,
                Transport::Unicast { peers } => {
                    let peers: Vec<_> = peers.iter().map(ToString::to_string).collect();
                    writeln!(f, "  advertises        every {interval} to {}", peers.join(", "))?;
                }
            }
            writeln!(
                f,
                "  takes over        {:?} after an Active resigns, {silence:?} after one falls silent",
                interval.skew(router.priority)
            )?;
            writeln!(f, "  lets go by itself {:?} after its last advertisement, by kernel lease", lease(interval))?;
        }
        self.probes.iter().try_for_each(|probe| {
            writeln!(
                f,
                "probe {} every {} ms: unhealthy after {} failures, healthy after {} successes",
                probe.target, probe.interval_ms, probe.fall, probe.rise
            )
        })
    }
}

#[cfg(test)]
mod tests;
