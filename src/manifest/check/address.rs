//! Which addresses can be a virtual IP or a master's own.

use super::Found;
use crate::manifest::document::{Spec, Vip};
use crate::yaml::read::Written;
use std::net::{IpAddr, Ipv4Addr};

/// Which kind of address cannot belong to one host, with the reason.
pub(super) fn unusable(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address: it is another host's own on every host")
    } else if address.is_multicast() {
        Some("a multicast address: it belongs to no single host")
    } else if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("the broadcast address: it belongs to no single host")
    } else if link_local {
        Some("a link-local address: it means nothing without the link it is on")
    } else if matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
        Some("an IPv4 address in IPv6 clothes: write it as IPv4")
    } else {
        None
    }
}

pub(super) fn vip(vip: &Vip, found: &mut Found<'_>) {
    let Some(addresses) = &vip.addresses else { return };
    let field = |at: usize| format!("spec.vip.addresses[{at}]");
    if addresses.value.is_empty() {
        found.invalid(
            "no-vip",
            "spec.vip.addresses",
            &addresses.place,
            "the cluster has no virtual IP".into(),
            "without it clients depend on one master",
            "write one unused address of the masters' subnet, for example '[10.20.0.100]'",
        );
    }
    for (at, address) in addresses.value.iter().enumerate() {
        if let Some(what) = unusable(address.value) {
            found.invalid(
                "unusable-address",
                &field(at),
                &address.place,
                format!("'{}' cannot be a virtual IP", address.value),
                &format!("it is {what}"),
                "write an unused address of the subnet that the masters share",
            );
        }
        let same_family = |other: &&Written<IpAddr>| other.value.is_ipv4() == address.value.is_ipv4();
        if let Some(first) = addresses.value.iter().take(at).find(same_family) {
            let family = if address.value.is_ipv4() { "IPv4" } else { "IPv6" };
            found.invalid(
                "vip-family",
                &field(at),
                &address.place,
                format!("a second {family} virtual IP"),
                "one virtual router carries one address of a family",
                "keep one IPv4 address, one IPv6 address, or one of each",
            );
            found.see(&first.place, "the first");
        }
    }
}

/// The VIP and the masters stay out of the ranges that the cluster gives to pods and services.
pub(super) fn networks(spec: &Spec, found: &mut Found<'_>) {
    let Some(networks) = spec.networks.as_ref().map(|written| &written.value) else { return };
    let mut addresses: Vec<(String, &Written<IpAddr>)> = Vec::new();
    if let Some(vips) = spec.vip.as_ref().and_then(|vip| vip.value.addresses.as_ref()) {
        addresses.extend(vips.value.iter().enumerate().map(|(at, vip)| (format!("spec.vip.addresses[{at}]"), vip)));
    }
    for (at, master) in spec.masters.iter().flat_map(|masters| masters.value.iter().enumerate()) {
        addresses.extend(master.value.address.as_ref().map(|address| (format!("spec.masters[{at}].address"), address)));
    }
    for (what, ranges) in [("pods", &networks.pods), ("services", &networks.services)] {
        for range in ranges.iter().flat_map(|ranges| &ranges.value) {
            for (field, address) in &addresses {
                if range.value.contains(address.value) {
                    found.invalid(
                        "address-in-cluster-range",
                        field,
                        &address.place,
                        format!("'{}' lies in the range of the {what}", address.value),
                        &format!("packets for it would be taken for packets to {what}"),
                        "use an address outside the cluster's own ranges",
                    );
                    found.see(&range.place, format!("the range of the {what}"));
                }
            }
        }
    }
}
