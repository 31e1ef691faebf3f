//! Asks the kernel for links, addresses and routers over rtnetlink. Reads only.

use super::{Carrier, Link, Observed};
use crate::ident::Mac;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, Prop};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rtnetlink::RouteMessageBuilder;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// All links of this network namespace with their addresses, in the kernel's order.
pub async fn observe() -> Observed {
    match dump().await {
        Ok(links) => Observed::Links(links),
        Err(why) => Observed::Unknown { why },
    }
}

async fn dump() -> Result<Vec<Link>, String> {
    let (connection, handle, _) =
        rtnetlink::new_connection().map_err(|error| format!("cannot open a netlink socket: {error}"))?;
    let connection = tokio::spawn(connection);
    let dumped = async {
        let mut links: BTreeMap<u32, Link> = BTreeMap::new();
        let mut messages = handle.link().get().execute();
        while let Some(message) = messages.try_next().await? {
            links.insert(message.header.index, link(&message));
        }
        let mut messages = handle.address().get().execute();
        while let Some(message) = messages.try_next().await? {
            if let (Some(link), Some(address)) = (links.get_mut(&message.header.index), address(&message)) {
                link.addresses.push(address);
            }
        }
        let families = [RouteMessageBuilder::<Ipv4Addr>::new().build(), RouteMessageBuilder::<Ipv6Addr>::new().build()];
        for family in families {
            let mut messages = handle.route().get(family).execute();
            while let Some(message) = messages.try_next().await? {
                for (index, gateway) in gateways(&message) {
                    if let Some(link) = links.get_mut(&index).filter(|link| !link.gateways.contains(&gateway)) {
                        link.gateways.push(gateway);
                    }
                }
            }
        }
        Ok::<_, rtnetlink::Error>(links.into_values().collect())
    }
    .await;
    connection.abort();
    dumped.map_err(|error| format!("cannot list links, addresses and routes: {error}"))
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        name: format!("#{}", message.header.index),
        alt_names: Vec::new(),
        mac: None,
        carrier: Carrier::AdminDown,
        addresses: Vec::new(),
        gateways: Vec::new(),
    };
    if message.header.flags.contains(LinkFlags::Up) {
        // IFF_LOWER_UP is what the driver knows of the carrier; the operational state also counts dormant
        // supplicants, which is not ours to judge.
        let carrier = message.header.flags.contains(LinkFlags::LowerUp);
        link.carrier = if carrier { Carrier::Present } else { Carrier::Absent };
    }
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::Address(octets) => link.mac = octets.as_slice().try_into().ok().map(Mac),
            LinkAttribute::PropList(properties) => {
                link.alt_names.extend(properties.iter().filter_map(|property| match property {
                    Prop::AltIfName(name) => Some(name.clone()),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    link
}

fn address(message: &AddressMessage) -> Option<IpNet> {
    // On point-to-point links `Address` is the peer and `Local` is ours; elsewhere they are equal or only one is sent.
    let own = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    };
    let any = |attribute: &AddressAttribute| match attribute {
        AddressAttribute::Address(address) => Some(*address),
        _ => None,
    };
    let attributes = &message.attributes;
    let address: IpAddr = attributes.iter().find_map(own).or_else(|| attributes.iter().find_map(any))?;
    IpNet::new(address, message.header.prefix_len).ok()
}

/// The routers of a route, each with the index of the link it is reached by.
fn gateways(message: &RouteMessage) -> Vec<(u32, IpAddr)> {
    let router = |attributes: &[RouteAttribute]| {
        attributes.iter().find_map(|attribute| match attribute {
            RouteAttribute::Gateway(RouteAddress::Inet(address)) => Some(IpAddr::from(*address)),
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => Some(IpAddr::from(*address)),
            _ => None,
        })
    };
    let link = message.attributes.iter().find_map(|attribute| match attribute {
        RouteAttribute::Oif(index) => Some(*index),
        _ => None,
    });
    let single = link.zip(router(&message.attributes));
    let hops = message.attributes.iter().flat_map(|attribute| match attribute {
        RouteAttribute::MultiPath(hops) => hops.as_slice(),
        _ => &[],
    });
    single.into_iter().chain(hops.filter_map(|hop| Some((hop.interface_index, router(&hop.attributes)?)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_loopback_link_is_seen_with_its_address() {
        let Observed::Links(links) = observe().await else { panic!("netlink did not answer") };
        let lo = links.iter().find(|link| link.name == "lo").expect("every namespace has lo");
        assert_eq!(lo.mac, Some(Mac([0; 6])));
        if lo.carrier == Carrier::Present {
            assert!(lo.addresses.iter().any(|net| net.addr().is_loopback()), "{lo}");
        }
    }

    #[test]
    fn the_routers_of_single_and_multipath_routes_are_read() {
        use netlink_packet_route::route::RouteNextHop;
        let gateway = |text: &str| RouteAttribute::Gateway(RouteAddress::Inet(text.parse().unwrap()));
        let mut single = RouteMessage::default();
        single.attributes = vec![RouteAttribute::Oif(2), gateway("10.20.0.1")];
        let mut direct = RouteMessage::default();
        direct.attributes = vec![RouteAttribute::Oif(2)];
        let mut hop = RouteNextHop::default();
        hop.interface_index = 3;
        hop.attributes = vec![gateway("10.30.0.1")];
        let mut several = RouteMessage::default();
        several.attributes = vec![RouteAttribute::MultiPath(vec![hop])];
        let read: Vec<(u32, String)> = [single, direct, several]
            .iter()
            .flat_map(gateways)
            .map(|(link, address)| (link, address.to_string()))
            .collect();
        assert_eq!(read, [(2, "10.20.0.1".to_owned()), (3, "10.30.0.1".to_owned())]);
    }
}
