//! Asks the kernel for links and addresses over rtnetlink. Reads only.

use super::{Carrier, Link, Observed};
use crate::ident::Mac;
use futures_util::TryStreamExt;
use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage, Prop};
use std::collections::BTreeMap;
use std::net::IpAddr;

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
        Ok::<_, rtnetlink::Error>(links.into_values().collect())
    }
    .await;
    connection.abort();
    dumped.map_err(|error| format!("cannot list links and addresses: {error}"))
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        name: format!("#{}", message.header.index),
        alt_names: Vec::new(),
        mac: None,
        carrier: Carrier::AdminDown,
        addresses: Vec::new(),
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
}
