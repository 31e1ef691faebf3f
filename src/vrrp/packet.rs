//! The wire form of an advertisement: VRRPv3 (RFC 9568 §5.2) and VRRPv2 (RFC 3768 §5.3).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |Version| Type  | Virtual Rtr ID|   Priority    |  Count Addrs  |
//! |Reserve| Max Advertise Interval|          Checksum             |   v3
//! |   Auth Type   | Adver Interval|          Checksum             |   v2, then 8 octets of authentication data at the end
//! |                    addresses, 4 or 16 octets each             |
//! ```
//!
//! [`decode`] borrows and allocates nothing: it runs for every datagram that anybody sends to us. Everything that
//! makes an advertisement unacceptable whatever the state of the router is decided here, and has one [`Discard`]
//! reason each; a discarded datagram reaches no timer (R13).

mod checksum;
mod reasons;

pub(super) use checksum::{fold, sum};
pub use reasons::{Discard, Remark};

use super::time::Interval;
use crate::ident::Vrid;
use checksum::pseudo_header;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IP protocol number of VRRP (RFC 9568 §5.1.1.4).
pub const PROTOCOL: u8 = 112;
/// TTL and hop limit of every advertisement (RFC 9568 §5.1.1.3): proof that it was not forwarded.
pub const TTL: u8 = 255;
/// Where IPv4 advertisements go (RFC 9568 §5.1.1.2).
pub const GROUP_V4: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 18);
/// Where IPv6 advertisements go (RFC 9568 §5.1.2.2).
pub const GROUP_V6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x12);
/// Priority of an Active that resigns (RFC 9568 §5.2.4).
pub const RESIGNING: u8 = 0;
/// Priority of the owner of the addresses (RFC 9568 §5.2.4).
pub const OWNER: u8 = 255;
/// Room for the longest message: 8 octets, 255 IPv6 addresses.
pub const LONGEST: usize = HEADER + 255 * 16;

/// The octets before the first address, in both versions.
const HEADER: usize = 8;
/// VRRPv2 ends with this much authentication data (RFC 3768 §5.3.10).
const V2_AUTHENTICATION: usize = 8;
const TYPE_ADVERTISEMENT: u8 = 1;
const CENTISECONDS_IN_SECOND: u16 = 100;

/// The version of the protocol a virtual router speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Version {
    /// RFC 3768: IPv4, whole seconds. For migration only.
    V2,
    /// RFC 9568.
    #[default]
    V3,
}

impl Version {
    fn nibble(self) -> u8 {
        match self {
            Version::V2 => 2,
            Version::V3 => 3,
        }
    }
}

/// What a VRRPv3 checksum over IPv4 covers. Both are accepted, one is sent. IPv6 always has the pseudo-header, v2 never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ChecksumForm {
    /// The message alone (RFC 9568 §5.2.8).
    #[default]
    MessageOnly,
    /// With the pseudo-header (RFC 5798 §5.2.8); what keepalived and FRR send and insist on by default.
    PseudoHeader,
}

/// Address family of an advertisement; it comes from the IP header, never from the message (R16).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The group that advertisements of this family are sent to.
    pub fn group(self) -> IpAddr {
        match self {
            Family::V4 => GROUP_V4.into(),
            Family::V6 => GROUP_V6.into(),
        }
    }

    fn address_octets(self) -> usize {
        match self {
            Family::V4 => 4,
            Family::V6 => 16,
        }
    }
}

/// A VRRP message with what its IP header said; the family is that of the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// TTL or hop limit on arrival.
    pub ttl: u8,
    /// What follows the IP header.
    pub message: &'a [u8],
}

impl<'a> Datagram<'a> {
    /// Reads the IPv4 header that a raw socket delivers. Bound by the header's own total length, since an Ethernet
    /// frame may be padded, and by its own header length, since there may be options (R4).
    ///
    /// # Errors
    /// [`Discard::Header`] when that header is not a whole IPv4 header of our protocol.
    pub fn from_ipv4(packet: &'a [u8]) -> Result<Self, Discard> {
        let [first, _, total_high, total_low, _, _, _, _, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3, ..] =
            *packet
        else {
            return Err(Discard::Header);
        };
        let header = usize::from(first & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([total_high, total_low]));
        if first >> 4 != 4 || header < 20 || protocol != PROTOCOL {
            return Err(Discard::Header);
        }
        let message = packet.get(header..total).ok_or(Discard::Header)?;
        let source = Ipv4Addr::new(s0, s1, s2, s3).into();
        Ok(Self { source, destination: Ipv4Addr::new(d0, d1, d2, d3).into(), ttl, message })
    }

    /// The virtual router id it names, if it is long enough to name one.
    pub fn vrid(&self) -> Option<Vrid> {
        self.message.get(1).and_then(|octet| Vrid::try_from(*octet).ok())
    }
}

/// An advertisement that passed every check that needs no configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Advert<'a> {
    /// The version it speaks.
    pub version: Version,
    /// Which virtual router.
    pub vrid: Vrid,
    /// 0 resigns, 255 owns.
    pub priority: u8,
    /// How often its sender advertises.
    pub interval: Interval,
    /// Which checksum form it has; only IPv4 VRRPv3 has a choice.
    pub checksum: ChecksumForm,
    addresses: &'a [u8],
    family: Family,
}

impl Advert<'_> {
    /// The addresses it carries, in its order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.addresses.chunks_exact(self.family.address_octets()).filter_map(move |octets| match self.family {
            Family::V4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
            Family::V6 => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
        })
    }
}

/// Reads one message for a virtual router that speaks `version` and accepts TTLs from `ttl_min` on.
///
/// # Errors
/// The first check of RFC 9568 §7.1 that fails.
pub fn decode<'a>(datagram: &Datagram<'a>, version: Version, ttl_min: u8) -> Result<Advert<'a>, Discard> {
    let message = datagram.message;
    if datagram.ttl < ttl_min {
        return Err(Discard::Ttl);
    }
    let [first, vrid, priority, count, fifth, sixth, ..] = *message else {
        return Err(Discard::Length);
    };
    if first >> 4 != version.nibble() {
        return Err(Discard::Version);
    }
    if first & 0x0f != TYPE_ADVERTISEMENT {
        return Err(Discard::Type);
    }
    let family = Family::of(datagram.source);
    if version == Version::V2 && family == Family::V6 {
        return Err(Discard::Version);
    }
    let vrid = Vrid::try_from(vrid).map_err(|_| Discard::Vrid)?;
    if count == 0 {
        return Err(Discard::NoAddress);
    }
    let addresses = usize::from(count) * family.address_octets();
    let trailer = if version == Version::V2 { V2_AUTHENTICATION } else { 0 };
    // Exactly: octets behind the message are an authentication trailer that nobody configured.
    if message.len() != HEADER + addresses + trailer {
        return Err(Discard::Length);
    }
    let checksum = checksum_form(datagram, version).ok_or(Discard::Checksum)?;
    let centiseconds = match version {
        // The upper nibble is reserved and ignored (R10).
        Version::V3 => u16::from_be_bytes([fifth & 0x0f, sixth]),
        Version::V2 if fifth != 0 => return Err(Discard::Authentication),
        Version::V2 => u16::from(sixth) * CENTISECONDS_IN_SECOND,
    };
    // A VRRPv2 interval can be longer than ours can say; no configured one is, so it could never match.
    let interval = match Interval::try_from(centiseconds) {
        Ok(interval) => interval,
        Err(_) if centiseconds == 0 => return Err(Discard::ZeroInterval),
        Err(_) => return Err(Discard::IntervalMismatch),
    };
    let addresses = &message[HEADER..HEADER + addresses];
    let advert = Advert { version, vrid, priority, interval, checksum, addresses, family };
    match advert.addresses().next() {
        Some(IpAddr::V6(first)) if !first.is_unicast_link_local() => Err(Discard::FirstNotLinkLocal),
        _ => Ok(advert),
    }
}

/// Which accepted form the checksum has, if any.
fn checksum_form(datagram: &Datagram<'_>, version: Version) -> Option<ChecksumForm> {
    let valid = |pseudo: u32| fold(pseudo + sum(datagram.message)) == 0xffff;
    let pseudo = || pseudo_header(datagram.source, datagram.destination, datagram.message.len());
    match (Family::of(datagram.source), version) {
        (Family::V6, _) => valid(pseudo()).then_some(ChecksumForm::PseudoHeader),
        (Family::V4, Version::V2) => valid(0).then_some(ChecksumForm::MessageOnly),
        (Family::V4, Version::V3) if valid(0) => Some(ChecksumForm::MessageOnly),
        (Family::V4, Version::V3) => valid(pseudo()).then_some(ChecksumForm::PseudoHeader),
    }
}

/// An advertisement about to be sent in one family.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The version spoken.
    pub version: Version,
    /// Which virtual router.
    pub vrid: Vrid,
    /// 0 resigns.
    pub priority: u8,
    /// How often we advertise; VRRPv2 carries whole seconds.
    pub interval: Interval,
    /// The form for VRRPv3 over IPv4.
    pub checksum: ChecksumForm,
    /// The addresses of this family in configured order; an IPv6 list starts with the link-local one.
    pub addresses: &'a [IpAddr],
    /// Source address, for the pseudo-header.
    pub source: IpAddr,
    /// Destination address, for the pseudo-header.
    pub destination: IpAddr,
}

impl Outgoing<'_> {
    /// Writes the message into `buffer` and returns it. Encoded anew for each sending: a changed priority, interval or
    /// address is in the very next advertisement because there is no older one to send (T11).
    pub fn encode<'b>(&self, buffer: &'b mut [u8; LONGEST]) -> &'b [u8] {
        let mut length = HEADER;
        let mut count = 0_u8;
        for address in self.addresses {
            // Configuration allows far fewer; a message that said more than fits would be a lie.
            if count == u8::MAX || length + 16 > LONGEST {
                break;
            }
            match address {
                IpAddr::V4(address) => buffer[length..length + 4].copy_from_slice(&address.octets()),
                IpAddr::V6(address) => buffer[length..length + 16].copy_from_slice(&address.octets()),
            }
            length += Family::of(*address).address_octets();
            count += 1;
        }
        if self.version == Version::V2 {
            buffer[length..length + V2_AUTHENTICATION].fill(0);
            length += V2_AUTHENTICATION;
        }
        let centiseconds = self.interval.centiseconds();
        let [fifth, sixth] = match self.version {
            Version::V3 => centiseconds.to_be_bytes(),
            // At most 40 seconds, so the low octet has it all.
            Version::V2 => (centiseconds / CENTISECONDS_IN_SECOND).to_be_bytes(),
        };
        let first = self.version.nibble() << 4 | TYPE_ADVERTISEMENT;
        buffer[..HEADER].copy_from_slice(&[first, self.vrid.octet(), self.priority, count, fifth, sixth, 0, 0]);
        let pseudo = match (Family::of(self.source), self.version, self.checksum) {
            (Family::V6, ..) | (Family::V4, Version::V3, ChecksumForm::PseudoHeader) => {
                pseudo_header(self.source, self.destination, length)
            }
            (Family::V4, ..) => 0,
        };
        let checksum = !fold(pseudo + sum(&buffer[..length]));
        buffer[6..8].copy_from_slice(&checksum.to_be_bytes());
        &buffer[..length]
    }
}

#[cfg(test)]
mod tests;
