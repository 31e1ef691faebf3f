//! The virtual addresses on a link, over route netlink: put there with a lifetime, kept, taken off.
//!
//! A VIP is a host address (/32, /128) without a prefix route, so that it is never a source address for anybody else and
//! never a node's address (B10); IPv6 without duplicate detection and deprecated, for the same reason. Its `IFA_PROTO` says
//! whose it is: whatever carries the tag was left by us and nobody else may want it. The lifetime makes it vanish if we do.

use super::netlink::{NetlinkError, Route};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, CacheInfo};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::IpAddr;
use std::time::Duration;

/// `IFA_PROTO` of our addresses: the protocol number of VRRP. The kernel itself uses 1 to 3.
pub const TAG: u8 = super::packet::PROTOCOL;

/// An address as found on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found {
    /// Its link.
    pub index: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its prefix.
    pub prefix: u8,
    /// Whose it is.
    pub owner: Owner,
    /// Whether packets may be sent from it.
    pub standing: Standing,
}

/// Whose an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// It carries our tag.
    Us,
    /// It does not.
    Others,
}

/// Whether packets may be sent from an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// They may.
    Usable,
    /// It is secondary, deprecated, or duplicate detection is running or has failed.
    Unusable,
}

/// Puts `vip` on the link, or extends its lifetime if it is there.
///
/// # Errors
/// When the kernel refuses.
pub fn install(route: &mut Route, index: u32, vip: IpAddr, lifetime: Duration) -> Result<(), NetlinkError> {
    let mut message = host_address(index, vip);
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX).max(1);
    let mut lifetimes = CacheInfo::default();
    lifetimes.ifa_valid = seconds;
    // Deprecated at once, so that IPv6 source selection passes it by (RFC 6724 rule 3). IPv4 has no such rule, and
    // shows a preferred lifetime of zero as an address about to go.
    lifetimes.ifa_preferred = if vip.is_ipv6() { 0 } else { seconds };
    message.attributes.extend([
        AddressAttribute::Flags(AddressFlags::Nodad | AddressFlags::Noprefixroute),
        AddressAttribute::CacheInfo(lifetimes),
        AddressAttribute::Protocol(AddressProtocol::Other(TAG)),
    ]);
    route.change("install the VIP", RouteNetlinkMessage::NewAddress(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Takes `vip` off the link; one that is not there is as wanted.
///
/// # Errors
/// When the kernel refuses for another reason.
pub fn remove(route: &mut Route, index: u32, vip: IpAddr) -> Result<(), NetlinkError> {
    match route.change("remove the VIP", RouteNetlinkMessage::DelAddress(host_address(index, vip)), 0) {
        Err(error) if error.is(libc::EADDRNOTAVAIL) || error.is(libc::ENODEV) => Ok(()),
        result => result,
    }
}

/// Takes off what an earlier run left: our tagged addresses everywhere, and host addresses equal to one of `vips`, which a
/// kernel without `IFA_PROTO` shows untagged. Goes on after a failure and returns what it removed with the first error.
///
/// # Errors
/// When the kernel refuses one of them.
pub fn purge(route: &mut Route, vips: &[IpAddr]) -> (Vec<IpAddr>, Result<(), NetlinkError>) {
    let found = match all(route) {
        Ok(found) => found,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut result = Ok(());
    let mut removed = Vec::new();
    for found in found {
        let host = found.prefix == if found.address.is_ipv4() { 32 } else { 128 };
        if host && (found.owner == Owner::Us || vips.contains(&found.address)) {
            match remove(route, found.index, found.address) {
                Ok(()) => removed.push(found.address),
                Err(error) => result = result.and(Err(error)),
            }
        }
    }
    (removed, result)
}

/// Every address on every link.
///
/// # Errors
/// When the kernel does not answer.
pub fn all(route: &mut Route) -> Result<Vec<Found>, NetlinkError> {
    let answer = route.dump("list addresses", RouteNetlinkMessage::GetAddress(AddressMessage::default()))?;
    Ok(answer
        .iter()
        .filter_map(|message| match message {
            RouteNetlinkMessage::NewAddress(message) => found(message),
            _ => None,
        })
        .collect())
}

/// One address message, read.
pub(super) fn found(message: &AddressMessage) -> Option<Found> {
    let (mut address, mut local, mut owner) = (None, None, Owner::Others);
    let mut flags = AddressFlags::from_bits_retain(u32::from(message.header.flags.bits()));
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(is) => address = Some(*is),
            AddressAttribute::Local(is) => local = Some(*is),
            AddressAttribute::Protocol(AddressProtocol::Other(TAG)) => owner = Owner::Us,
            AddressAttribute::Flags(are) => flags = *are,
            _ => {}
        }
    }
    let unusable =
        AddressFlags::Secondary | AddressFlags::Tentative | AddressFlags::Dadfailed | AddressFlags::Deprecated;
    let standing = if flags.intersects(unusable) { Standing::Unusable } else { Standing::Usable };
    // On a point-to-point link IFA_ADDRESS is the other end.
    let address = local.or(address)?;
    Some(Found { index: message.header.index, address, prefix: message.header.prefix_len, owner, standing })
}

fn host_address(index: u32, vip: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.index = index;
    (message.header.family, message.header.prefix_len) = match vip {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    message.attributes = vec![AddressAttribute::Local(vip), AddressAttribute::Address(vip)];
    message
}
