//! The Internet checksum (RFC 1071) and the pseudo-header that VRRP puts under it.

use super::PROTOCOL;
use std::net::IpAddr;

/// Sum of the pseudo-header: source, destination, upper-layer length, protocol (RFC 8200 §8.1; RFC 5798 §5.2.8 for IPv4).
pub(super) fn pseudo_header(source: IpAddr, destination: IpAddr, length: usize) -> u32 {
    let of = |address: IpAddr| match address {
        IpAddr::V4(address) => sum(&address.octets()),
        IpAddr::V6(address) => sum(&address.octets()),
    };
    of(source) + of(destination) + u32::try_from(length).unwrap_or(0) + u32::from(PROTOCOL)
}

/// Sum of 16-bit words (RFC 1071). An IP datagram holds 32768 of them at most, so 32 bits do not overflow.
pub(in crate::vrrp) fn sum(octets: &[u8]) -> u32 {
    let pairs = octets.chunks_exact(2);
    let last = pairs.remainder().first().map_or(0, |octet| u32::from(*octet) << 8);
    pairs.map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>() + last
}

/// Folds the carries in.
pub(in crate::vrrp) fn fold(sum: u32) -> u16 {
    let once = (sum & 0xffff) + (sum >> 16);
    #[expect(clippy::cast_possible_truncation, reason = "two folds of 32 bits leave at most 16")]
    let folded = ((once & 0xffff) + (once >> 16)) as u16;
    folded
}
