//! From the manifest to one master's daemon configuration.
//!
//! Priorities come from the order of masters, as high as they can be: 254, 253, … keep the skew, which a successor waits in
//! addition to three intervals, below a thirtieth of an interval (RFC 9568 §6.1). 255 stays for an owner of the addresses,
//! which a master never is. The unhealthy ones lie below all of the healthy ones, in the same order, so that the VIP stays
//! somewhere when every master is unhealthy.

use super::config::{Config, Probe, Router, Target, Transport};
use super::machine::Preempt;
use super::packet::{ChecksumForm, TTL, Version};
use super::time::Interval;
use crate::manifest::{self, Manifest, Master, ProbeTarget, VrrpChecksum, VrrpVersion};
use std::net::{IpAddr, Ipv6Addr};

/// The preferred master's priority.
const HIGHEST: u8 = 254;
/// Unhealthy priorities lie this much below the healthy ones: more masters than any policy allows.
const UNHEALTHY_BELOW: u8 = 16;

impl Config {
    /// The configuration of `master`, whose interface label has been resolved to the kernel name `link`.
    pub fn for_master(manifest: &Manifest, master: &Master, link: &str) -> Self {
        let place = manifest.masters.iter().position(|other| other.name == master.name).unwrap_or(0);
        let masters = u8::try_from(manifest.masters.len()).unwrap_or(UNHEALTHY_BELOW).clamp(1, UNHEALTHY_BELOW);
        let priority = HIGHEST - u8::try_from(place).unwrap_or(UNHEALTHY_BELOW).min(masters - 1);
        let wanted = &manifest.vrrp;
        let router = Router {
            vrid: wanted.router_id,
            link: link.to_owned(),
            version: match wanted.version {
                VrrpVersion::V3 => Version::V3,
                VrrpVersion::V2 => Version::V2,
            },
            priority,
            unhealthy_priority: priority - UNHEALTHY_BELOW,
            healthy_from: HIGHEST + 1 - masters,
            // The parser holds it to the same bounds; a second is what the protocol itself falls back to.
            advert_interval_cs: Interval::try_from(wanted.advertise_interval_cs).unwrap_or(Interval::SECOND),
            preempt: match (wanted.preempt, u32::try_from(wanted.preempt_delay.as_millis()).unwrap_or(u32::MAX)) {
                (false, _) => Preempt::Never,
                (true, 0) => Preempt::AtOnce,
                (true, delay_ms) => Preempt::AfterMs(delay_ms),
            },
            transport: match wanted.transport {
                manifest::Transport::Multicast => Transport::Multicast,
                manifest::Transport::Unicast => Transport::Unicast {
                    peers: manifest.masters.iter().filter(|m| m.name != master.name).map(|m| m.address).collect(),
                },
            },
            checksum: match wanted.checksum {
                VrrpChecksum::MessageOnly => ChecksumForm::MessageOnly,
                VrrpChecksum::PseudoHeader => ChecksumForm::PseudoHeader,
            },
            ttl_min: TTL,
            addresses: with_link_local(&manifest.vip.addresses, wanted.router_id.octet()),
        };
        let probes = manifest.health.iter().map(|probe| Probe {
            target: match &probe.target {
                ProbeTarget::Tcp(address) => Target::Tcp(address.clone()),
                ProbeTarget::Http(url) => Target::Http(url.clone()),
                ProbeTarget::Https(url) => Target::Https(url.clone()),
            },
            interval_ms: u32::try_from(probe.interval.as_millis()).unwrap_or(u32::MAX).max(1),
            fall: probe.fall.max(1),
            rise: probe.rise.max(1),
        });
        Self { routers: vec![router], probes: probes.collect() }
    }
}

/// IPv6 advertisements begin with the link-local address of the virtual router (RFC 9568 §5.2.9). A manifest that names
/// none gets `fe80::70:ID`: 0x70 is VRRP's protocol number, and no interface identifier is taken from the virtual MAC (§7.4).
fn with_link_local(addresses: &[IpAddr], vrid: u8) -> Vec<IpAddr> {
    let link_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    let mut ordered = addresses.to_vec();
    if addresses.iter().any(IpAddr::is_ipv6) && !addresses.iter().any(link_local) {
        ordered.push(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x70, u16::from(vrid)).into());
    }
    // Stable: everything else stays in the manifest's order.
    ordered.sort_by_key(|address| (address.is_ipv6(), !link_local(address)));
    ordered
}

#[cfg(test)]
mod tests;
