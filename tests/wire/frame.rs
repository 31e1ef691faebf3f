//! What the observer understands of a frame: advertisements, announcements of an address, and answers for one.

use super::clock::Moment;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A frame as it entered the switch.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    /// The kernel's stamp.
    pub at: Moment,
    /// Which host's port it came in by.
    pub host: usize,
    pub heard: Heard,
}

/// What was in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// A VRRP advertisement.
    Advert(Advert),
    /// A gratuitous ARP or an unsolicited neighbour advertisement: "I have this address".
    Announcement(IpAddr),
    /// An ARP reply or a solicited neighbour advertisement: the prober asked, and this host holds the address.
    Answer {
        address: IpAddr,
        /// Who asked. The prober asks under many names in turn, so that this tells which question was answered.
        asker: IpAddr,
    },
}

/// A VRRP advertisement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advert {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub ttl: u8,
    pub version: u8,
    pub vrid: u8,
    pub priority: u8,
    pub form: Form,
}

/// How the checksum was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Over the message and a pseudo-header (RFC 5798; RFC 9568 over IPv6).
    WithPseudoHeader,
    /// Over the message alone (VRRPv2; RFC 9568 over IPv4).
    MessageOnly,
    Wrong,
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_ARP: u16 = 0x0806;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const PROTOCOL_VRRP: u8 = 112;
const PROTOCOL_ICMPV6: u8 = 58;
const NEIGHBOUR_ADVERTISEMENT: u8 = 136;
const SOLICITED: u8 = 0x40;

/// What an Ethernet frame says, if it is any of the above.
pub fn hear(frame: &[u8]) -> Option<Heard> {
    let payload = frame.get(14..)?;
    match u16::from_be_bytes(frame.get(12..14)?.try_into().ok()?) {
        ETHERTYPE_ARP => arp(payload),
        ETHERTYPE_IPV4 => {
            let header = usize::from(payload.first()? & 0x0f) * 4;
            let total = usize::from(u16::from_be_bytes(payload.get(2..4)?.try_into().ok()?));
            let (source, destination) = (v4(payload.get(12..16)?)?, v4(payload.get(16..20)?)?);
            (*payload.get(9)? == PROTOCOL_VRRP)
                .then(|| advert(source, destination, payload[8], payload.get(header..total)?))
                .flatten()
        }
        ETHERTYPE_IPV6 => {
            let length = usize::from(u16::from_be_bytes(payload.get(4..6)?.try_into().ok()?));
            let message = payload.get(40..40 + length)?;
            let (source, destination) = (v6(&payload[8..24])?, v6(&payload[24..40])?);
            match payload[6] {
                PROTOCOL_VRRP => advert(source, destination, payload[7], message),
                PROTOCOL_ICMPV6 if *message.first()? == NEIGHBOUR_ADVERTISEMENT => {
                    let target = v6(message.get(8..24)?)?;
                    let solicited = message[4] & SOLICITED != 0;
                    Some(if solicited {
                        Heard::Answer { address: target, asker: destination }
                    } else {
                        Heard::Announcement(target)
                    })
                }
                _ => None,
            }
        }
        _ => None,
    }
}

fn arp(packet: &[u8]) -> Option<Heard> {
    let operation = packet.get(6..8)?;
    let (sender, target) = (v4(packet.get(14..18)?)?, v4(packet.get(24..28)?)?);
    if sender == target {
        Some(Heard::Announcement(sender))
    } else {
        (operation == [0, 2]).then_some(Heard::Answer { address: sender, asker: target })
    }
}

fn advert(source: IpAddr, destination: IpAddr, ttl: u8, message: &[u8]) -> Option<Heard> {
    let [first, vrid, priority, ..] = *message else { return None };
    let form = if sum(message, 0) == 0xffff {
        Form::MessageOnly
    } else if sum(message, pseudo_header(source, destination, PROTOCOL_VRRP, message.len())) == 0xffff {
        Form::WithPseudoHeader
    } else {
        Form::Wrong
    };
    Some(Heard::Advert(Advert { source, destination, ttl, version: first >> 4, vrid, priority, form }))
}

fn v4(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).ok().map(|octets| Ipv4Addr::from(octets).into())
}

fn v6(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(octets).ok().map(|octets| Ipv6Addr::from(octets).into())
}

/// The Internet checksum's sum, folded: 0xffff over a message whose checksum is right.
pub fn sum(message: &[u8], start: u32) -> u16 {
    let total = message
        .chunks(2)
        .fold(start, |total, pair| total + u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)])));
    let folded = (total & 0xffff) + (total >> 16);
    u16::try_from((folded & 0xffff) + (folded >> 16)).unwrap_or(u16::MAX)
}

/// The unfolded sum of the pseudo-header (RFC 5798 §5.2.8, RFC 8200 §8.1).
pub fn pseudo_header(source: IpAddr, destination: IpAddr, protocol: u8, length: usize) -> u32 {
    let words = |address: IpAddr| match address {
        IpAddr::V4(address) => u32::from(sum(&address.octets(), 0)),
        IpAddr::V6(address) => u32::from(sum(&address.octets(), 0)),
    };
    words(source) + words(destination) + u32::from(protocol) + u32::try_from(length).unwrap_or(0)
}
