//! The frames that tell neighbours where an address is now: gratuitous ARP (RFC 9568 §8.1.2, RFC 826) and the unsolicited
//! neighbour advertisement (RFC 9568 §8.2.2, RFC 4861 §4.4).
//!
//! Whole Ethernet frames, because an AF_PACKET socket sends them before the address itself is usable. The address
//! announced is the virtual one (EID 7947, 7949); the MAC is the link's own, the daemon's default (spec/vrrp.md).

use super::packet::{fold, sum};
use crate::ident::Mac;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest frame built here: Ethernet, IPv6, neighbour advertisement with one option.
pub const LONGEST: usize = 14 + 40 + 32;

const BROADCAST: Mac = Mac([0xff; 6]);
const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
const ICMPV6: u8 = 58;

/// Writes the frame that announces `vip` at `mac` and returns it.
pub fn frame(vip: IpAddr, mac: Mac, buffer: &mut [u8; LONGEST]) -> &[u8] {
    match vip {
        IpAddr::V4(vip) => gratuitous_arp(vip, mac, buffer),
        IpAddr::V6(vip) => neighbour_advertisement(vip, mac, buffer),
    }
}

/// An ARP request for the address by the address: both protocol fields are the virtual one, which every
/// implementation takes as an update.
fn gratuitous_arp(vip: Ipv4Addr, mac: Mac, buffer: &mut [u8; LONGEST]) -> &[u8] {
    let ethernet_ipv4_request = [0, 1, 0x08, 0x00, 6, 4, 0, 1];
    fill(
        buffer,
        &[&BROADCAST.0, &mac.0, &ETHERTYPE_ARP, &ethernet_ipv4_request, &mac.0, &vip.octets(), &[0; 6], &vip.octets()],
    )
}

/// Override set, Solicited clear, Router set as RFC 9568 §8.2.2 asks; target link-layer address option, hop limit 255.
fn neighbour_advertisement(vip: Ipv6Addr, mac: Mac, buffer: &mut [u8; LONGEST]) -> &[u8] {
    let flags = [0b1010_0000, 0, 0, 0];
    let option = [2, 1];
    let length = 32_u16;
    let icmp: [&[u8]; 6] = [&[136, 0], &[0, 0], &flags, &vip.octets(), &option, &mac.0];
    let pseudo = sum(&vip.octets()) + sum(&ALL_NODES.octets()) + u32::from(length) + u32::from(ICMPV6);
    // Every piece has an even length, so the sums of the pieces are the sum of the whole.
    let checksum = !fold(pseudo + icmp.iter().map(|piece| sum(piece)).sum::<u32>());
    let header = [0x6c, 0, 0, 0];
    fill(
        buffer,
        &[
            &ALL_NODES_MAC.0,
            &mac.0,
            &ETHERTYPE_IPV6,
            &header,
            &length.to_be_bytes(),
            &[ICMPV6, 255],
            &vip.octets(),
            &ALL_NODES.octets(),
            icmp[0],
            &checksum.to_be_bytes(),
            icmp[2],
            icmp[3],
            icmp[4],
            icmp[5],
        ],
    )
}

fn fill<'a>(buffer: &'a mut [u8; LONGEST], pieces: &[&[u8]]) -> &'a [u8] {
    let mut length = 0;
    for piece in pieces {
        buffer[length..length + piece.len()].copy_from_slice(piece);
        length += piece.len();
    }
    &buffer[..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);

    #[test]
    fn gratuitous_arp_carries_the_virtual_address_twice() {
        let mut buffer = [0; LONGEST];
        let frame = frame("10.20.0.100".parse().unwrap(), MAC, &mut buffer);
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[..6], [0xff; 6]);
        assert_eq!(frame[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(frame[22..32], [2, 0, 0, 0, 0, 1, 10, 20, 0, 100]);
        assert_eq!(frame[38..42], [10, 20, 0, 100]);
    }

    #[test]
    fn f6_neighbour_advertisement_overrides_and_is_unsolicited() {
        let mut buffer = [0; LONGEST];
        let frame = frame("fe80::70:33".parse().unwrap(), MAC, &mut buffer);
        assert_eq!(frame.len(), 86);
        assert_eq!((frame[20], frame[21]), (ICMPV6, 255));
        assert_eq!(frame[54], 136);
        assert_eq!(frame[58] >> 5, 0b101, "R and O set, S clear");
        assert_eq!(frame[78..], [2, 1, 2, 0, 0, 0, 0, 1]);
        // A receiver sums pseudo-header and message to all ones.
        let pseudo = sum(&frame[22..54]) + 32 + u32::from(ICMPV6);
        assert_eq!(fold(pseudo + sum(&frame[54..])), 0xffff);
    }
}
