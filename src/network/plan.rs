//! Which link carries the VIP, or every reason why none can.

use super::{Carrier, Desired, Link, Observed};
use crate::plan::{Blocked, Hold, Part};
use ipnet::IpNet;
use std::net::IpAddr;

/// The one link that `desired` means and that can carry the VIP now.
///
/// # Errors
/// All obstacles at once. A missing carrier is waited for; what only an administrator can change is refused.
pub fn carrier<'a>(desired: &Desired, observed: &'a Observed) -> Result<&'a Link, Vec<Blocked>> {
    let links = match observed {
        Observed::Links(links) => links,
        Observed::Unknown { why } => {
            return Err(vec![obstacle(
                Hold::Waiting,
                desired,
                format!("the links are unknown: {why}"),
                "the kernel answering",
            )]);
        }
    };
    let link = named(desired, links).map_err(|blocked| vec![blocked])?;
    let obstacles: Vec<Blocked> = [passes_frames(desired, link), holds_own_address(desired, links)]
        .into_iter()
        .flatten()
        .chain(desired.vips.iter().filter_map(|vip| has_base_address(desired, link, *vip)))
        .collect();
    if obstacles.is_empty() { Ok(link) } else { Err(obstacles) }
}

fn named<'a>(desired: &Desired, links: &'a [Link]) -> Result<&'a Link, Blocked> {
    let matching: Vec<&Link> = links.iter().filter(|link| link.answers_to(&desired.label)).collect();
    match matching.as_slice() {
        [link] => Ok(link),
        [] => Err(obstacle(
            Hold::Refused,
            desired,
            format!("no link here answers to '{}'; there are: {}", desired.label, listed(links)),
            "name a link of this host in spec.vip.interface, or override it with 'interface' on this master",
        )),
        several => Err(obstacle(
            Hold::Refused,
            desired,
            format!(
                "{} links answer to '{}': {}",
                several.len(),
                desired.label,
                several.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
            ),
            "write a name or MAC address that only one link has",
        )),
    }
}

fn passes_frames(desired: &Desired, link: &Link) -> Option<Blocked> {
    let why = match link.carrier {
        Carrier::Present => return None,
        Carrier::AdminDown => format!("{} is switched off", link.name),
        Carrier::Absent => format!("{} has no carrier", link.name),
    };
    Some(obstacle(Hold::Waiting, desired, why, "the link coming up (cable, switch port, network service)"))
}

/// etcd binds to this address and peers connect to it: a host without it is not this master, or not ready.
fn holds_own_address(desired: &Desired, links: &[Link]) -> Option<Blocked> {
    let held = links.iter().flat_map(|link| &link.addresses).any(|net| net.addr() == desired.address);
    (!held).then(|| {
        obstacle(
            Hold::Waiting,
            desired,
            format!("no link holds this master's address {}; there are: {}", desired.address, listed(links)),
            "the network service setting it, or a manifest with this master's real address",
        )
    })
}

fn has_base_address(desired: &Desired, link: &Link, vip: IpAddr) -> Option<Blocked> {
    // The VIP itself is a host prefix on the link once it is active and would contain itself.
    let base = link.addresses.iter().find(|net| net.contains(&vip) && net.addr() != vip);
    let Some(base) = base else {
        let held: Vec<String> = link.addresses.iter().filter(|net| net.addr() != vip).map(IpNet::to_string).collect();
        let held = if held.is_empty() { "none".to_owned() } else { held.join(", ") };
        return Some(obstacle(
            Hold::Refused,
            desired,
            format!("the VIP {vip} is in the subnet of no address of {} (it has {held})", link.name),
            "choose a VIP inside the masters' subnet, or another interface",
        ));
    };
    let reserved = match base {
        // RFC 3021: a /31 has neither network nor broadcast address; a /32 cannot contain another address.
        IpNet::V4(net) if net.prefix_len() < 31 && vip == IpAddr::V4(net.network()) => "network",
        IpNet::V4(net) if net.prefix_len() < 31 && vip == IpAddr::V4(net.broadcast()) => "broadcast",
        // RFC 4291 §2.6.1: the first address of a subnet is the subnet-router anycast address.
        IpNet::V6(net) if net.prefix_len() < 127 && vip == IpAddr::V6(net.network()) => "subnet-router anycast",
        _ if link.gateways.contains(&vip) => {
            return Some(obstacle(
                Hold::Refused,
                desired,
                format!("the VIP {vip} is a router of this host: a route over {} leads through it", link.name),
                "choose a free host address of the subnet as VIP",
            ));
        }
        _ => return None,
    };
    Some(obstacle(
        Hold::Refused,
        desired,
        format!("the VIP {vip} is the {reserved} address of {}", base.trunc()),
        "choose a free host address of the subnet as VIP",
    ))
}

fn listed(links: &[Link]) -> String {
    links.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn obstacle(hold: Hold, desired: &Desired, why: String, unblock: &str) -> Blocked {
    Blocked {
        part: Part::Network,
        hold,
        what: format!("carry the VIP on '{}'", desired.label),
        why,
        unblock: unblock.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, addresses: &[&str]) -> Link {
        Link {
            name: name.into(),
            alt_names: vec![format!("alt-{name}")],
            mac: "52:54:00:00:00:01".parse().ok(),
            carrier: Carrier::Present,
            addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
            gateways: Vec::new(),
        }
    }

    fn desired(label: &str, vip: &str) -> Desired {
        Desired {
            label: label.parse().unwrap(),
            address: "10.20.0.11".parse().unwrap(),
            vips: vec![vip.parse().unwrap()],
        }
    }

    fn reasons(desired: &Desired, links: Vec<Link>) -> Vec<(Hold, String)> {
        carrier(desired, &Observed::Links(links))
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|blocked| (blocked.hold, blocked.why))
            .collect()
    }

    #[test]
    fn a_label_may_be_a_name_an_alternative_name_or_a_mac() {
        for label in ["eth0", "alt-eth0", "52:54:00:00:00:01"] {
            assert_eq!(reasons(&desired(label, "10.20.0.100"), vec![link("eth0", &["10.20.0.11/24"])]), [], "{label}");
        }
    }

    #[test]
    fn no_match_lists_the_links_there_are() {
        let found = reasons(&desired("bond0", "10.20.0.100"), vec![link("eth0", &["10.20.0.11/24"])]);
        assert_eq!(
            found,
            [(
                Hold::Refused,
                "no link here answers to 'bond0'; there are: eth0 [52:54:00:00:00:01] =alt-eth0 up 10.20.0.11/24"
                    .into()
            )]
        );
    }

    #[test]
    fn a_mac_shared_by_two_links_is_refused() {
        let links = vec![link("eth0", &["10.20.0.11/24"]), link("vlan7", &[])];
        let found = reasons(&desired("52:54:00:00:00:01", "10.20.0.100"), links);
        assert!(matches!(found.as_slice(), [(Hold::Refused, why)] if why.starts_with("2 links answer")), "{found:?}");
    }

    #[test]
    fn the_vip_needs_a_base_address_in_its_subnet() {
        let table = [
            ("10.30.0.100", "the VIP 10.30.0.100 is in the subnet of no address of eth0 (it has 10.20.0.11/24)"),
            ("10.20.0.0", "the VIP 10.20.0.0 is the network address of 10.20.0.0/24"),
            ("10.20.0.255", "the VIP 10.20.0.255 is the broadcast address of 10.20.0.0/24"),
        ];
        for (vip, why) in table {
            let found = reasons(&desired("eth0", vip), vec![link("eth0", &["10.20.0.11/24"])]);
            assert_eq!(found, [(Hold::Refused, why.to_owned())]);
        }
    }

    #[test]
    fn a_router_is_not_taken_for_a_free_address() {
        let gateways = vec!["10.20.0.1".parse().unwrap(), "fd00:20::1".parse().unwrap()];
        let link = Link { gateways, ..link("eth0", &["10.20.0.11/24", "fd00:20::11/64"]) };
        for (vip, taken) in [("10.20.0.1", true), ("fd00:20::1", true), ("10.20.0.100", false)] {
            let reasons = reasons(&desired("eth0", vip), vec![link.clone()]);
            let expected = format!("the VIP {vip} is a router of this host: a route over eth0 leads through it");
            assert_eq!(reasons, if taken { vec![(Hold::Refused, expected)] } else { Vec::new() });
        }
    }

    #[test]
    fn an_active_vip_is_not_its_own_base_address() {
        let found = reasons(&desired("eth0", "10.30.0.100"), vec![link("eth0", &["10.20.0.11/24", "10.30.0.100/32"])]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_link_that_is_down_is_waited_for_and_every_obstacle_is_named() {
        let mut down = link("eth0", &[]);
        down.carrier = Carrier::Absent;
        let found = reasons(&desired("eth0", "10.20.0.100"), vec![down]);
        assert_eq!(
            found.iter().map(|(hold, _)| *hold).collect::<Vec<_>>(),
            [Hold::Waiting, Hold::Waiting, Hold::Refused]
        );
    }

    #[test]
    fn unknown_links_are_waited_for() {
        let blocked = carrier(&desired("eth0", "10.20.0.100"), &Observed::Unknown { why: "EPERM".into() }).unwrap_err();
        assert_eq!(blocked[0].hold, Hold::Waiting);
    }
}
