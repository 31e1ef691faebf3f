use super::*;
use proptest::prelude::*;

const V4: &str = "10.9.0.11";
const V6: &str = "fe80::11";

/// An encoded advertisement of virtual router 51.
struct Sample {
    message: Vec<u8>,
    source: IpAddr,
    destination: IpAddr,
    ttl: u8,
}

impl Sample {
    fn new(source: &str, version: Version, checksum: ChecksumForm, addresses: &[&str]) -> Self {
        let source: IpAddr = source.parse().unwrap();
        let destination = Family::of(source).group();
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let outgoing = Outgoing {
            version,
            vrid: Vrid::try_from(51).unwrap(),
            priority: 254,
            interval: Interval::SECOND,
            checksum,
            addresses: &addresses,
            source,
            destination,
        };
        Self { message: outgoing.encode(&mut [0; LONGEST]).to_vec(), source, destination, ttl: TTL }
    }

    fn v3() -> Self {
        Self::new(V4, Version::V3, ChecksumForm::MessageOnly, &["10.9.0.100"])
    }

    fn v6() -> Self {
        Self::new(V6, Version::V3, ChecksumForm::MessageOnly, &["fe80::70:33", "2001:db8::100"])
    }

    fn v2() -> Self {
        Self::new(V4, Version::V2, ChecksumForm::MessageOnly, &["10.9.0.100"])
    }

    /// Changes octets and makes the checksum right again, so that only the check under test can fail.
    fn with(mut self, changes: &[(usize, u8)]) -> Self {
        for (at, octet) in changes {
            self.message[*at] = *octet;
        }
        self.rechecksummed()
    }

    fn rechecksummed(mut self) -> Self {
        self.message[6..8].fill(0);
        let pseudo = match self.source {
            IpAddr::V4(_) => 0,
            IpAddr::V6(_) => pseudo_header(self.source, self.destination, self.message.len()),
        };
        let checksum = !fold(pseudo + sum(&self.message));
        self.message[6..8].copy_from_slice(&checksum.to_be_bytes());
        self
    }

    fn decode(&self, version: Version) -> Result<Advert<'_>, Discard> {
        let datagram =
            Datagram { source: self.source, destination: self.destination, ttl: self.ttl, message: &self.message };
        decode(&datagram, version, TTL)
    }
}

#[test]
fn r1_a_ttl_below_the_minimum_is_discarded() {
    for ttl in [0, 1, 64, 254] {
        assert_eq!(Sample { ttl, ..Sample::v3() }.decode(Version::V3), Err(Discard::Ttl), "{ttl}");
        assert_eq!(Sample { ttl, ..Sample::v6() }.decode(Version::V3), Err(Discard::Ttl), "{ttl}");
    }
    let far = Sample { ttl: 250, ..Sample::v3() };
    let datagram = Datagram { source: far.source, destination: far.destination, ttl: far.ttl, message: &far.message };
    assert!(decode(&datagram, Version::V3, 250).is_ok(), "a unicast peer may be farther away when configured so");
}

#[test]
fn r2_and_r19_another_version_is_discarded() {
    for first in [0x01, 0x11, 0x21, 0x41, 0xf1] {
        assert_eq!(Sample::v3().with(&[(0, first)]).decode(Version::V3), Err(Discard::Version), "{first:#x}");
    }
    assert_eq!(Sample::v2().decode(Version::V3), Err(Discard::Version));
    assert_eq!(Sample::v3().decode(Version::V2), Err(Discard::Version));
    // VRRPv2 has no IPv6 at all (RFC 3768 §5).
    assert_eq!(Sample::v6().with(&[(0, 0x21)]).decode(Version::V2), Err(Discard::Version));
}

#[test]
fn r3_another_type_is_discarded() {
    for first in [0x30, 0x32, 0x3f] {
        assert_eq!(Sample::v3().with(&[(0, first)]).decode(Version::V3), Err(Discard::Type), "{first:#x}");
    }
}

#[test]
fn r4_every_shortened_or_lengthened_message_is_discarded() {
    for (sample, version) in [(Sample::v3(), Version::V3), (Sample::v6(), Version::V3), (Sample::v2(), Version::V2)] {
        for length in 0..sample.message.len() {
            let short = Sample { message: sample.message[..length].to_vec(), ..Sample::v3() };
            let short = Sample { source: sample.source, destination: sample.destination, ..short };
            assert_eq!(short.decode(version), Err(Discard::Length), "{length}");
        }
        let mut message = sample.message.clone();
        message.extend([0; 28]);
        let long = Sample { message, ..sample }.rechecksummed();
        assert_eq!(long.decode(version), Err(Discard::Length), "an authentication trailer that nobody configured");
    }
}

#[test]
fn r4_ethernet_padding_is_cut_and_ip_options_are_honoured() {
    let message = Sample::v3().message;
    let packet = |options: usize, padding: usize| {
        let header = 20 + options;
        let total = u16::try_from(header + message.len()).unwrap().to_be_bytes();
        let first = 0x40 | u8::try_from(header / 4).unwrap();
        let mut packet = vec![first, 0xc0, total[0], total[1], 0, 0, 0, 0, 255, PROTOCOL, 0, 0];
        packet.extend([10, 9, 0, 11, 224, 0, 0, 18]);
        packet.extend(vec![1; options]);
        packet.extend(&message);
        packet.extend(vec![0; padding]);
        packet
    };
    for (options, padding) in [(0, 0), (0, 6), (4, 0), (40, 6)] {
        let packet = packet(options, padding);
        let datagram = Datagram::from_ipv4(&packet).unwrap();
        assert_eq!(datagram.message, message, "{options} {padding}");
        assert_eq!((datagram.source, datagram.ttl), (V4.parse().unwrap(), 255));
    }
    let whole = packet(0, 0);
    for length in 0..whole.len() {
        assert_eq!(Datagram::from_ipv4(&whole[..length]), Err(Discard::Header), "{length}");
    }
    for (at, octet) in [(0, 0x65), (0, 0x44), (0, 0x4f), (9, 17), (3, 19)] {
        let mut damaged = whole.clone();
        damaged[at] = octet;
        assert_eq!(Datagram::from_ipv4(&damaged), Err(Discard::Header), "octet {at}");
    }
}

#[test]
fn r5_both_forms_are_accepted_over_ipv4_and_nothing_else() {
    for form in [ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader] {
        let sample = Sample::new(V4, Version::V3, form, &["10.9.0.100"]);
        assert_eq!(sample.decode(Version::V3).unwrap().checksum, form);
    }
    for (mut sample, version) in [(Sample::v3(), Version::V3), (Sample::v6(), Version::V3), (Sample::v2(), Version::V2)]
    {
        sample.message[7] ^= 1;
        assert_eq!(sample.decode(version), Err(Discard::Checksum));
    }
    // Over IPv6 the pseudo-header is no option, and it is bound to the addresses.
    let moved = Sample { source: "fe80::12".parse().unwrap(), ..Sample::v6() };
    assert_eq!(moved.decode(Version::V3), Err(Discard::Checksum));
    let mut bare = Sample::v6();
    bare.message[6..8].fill(0);
    let checksum = !fold(sum(&bare.message));
    bare.message[6..8].copy_from_slice(&checksum.to_be_bytes());
    assert_eq!(bare.decode(Version::V3), Err(Discard::Checksum));
}

#[test]
fn r6_id_zero_is_discarded() {
    assert_eq!(Sample::v3().with(&[(1, 0)]).decode(Version::V3), Err(Discard::Vrid));
}

#[test]
fn r7_an_advertisement_without_addresses_is_ignored() {
    let mut sample = Sample::v3();
    sample.message.truncate(8);
    assert_eq!(sample.with(&[(3, 0)]).decode(Version::V3), Err(Discard::NoAddress));
}

#[test]
fn r8_interval_zero_is_discarded() {
    assert_eq!(Sample::v3().with(&[(4, 0xf0), (5, 0)]).decode(Version::V3), Err(Discard::ZeroInterval));
    assert_eq!(Sample::v2().with(&[(5, 0)]).decode(Version::V2), Err(Discard::ZeroInterval));
}

#[test]
fn r9_the_first_ipv6_address_is_link_local() {
    let global = Sample::new(V6, Version::V3, ChecksumForm::MessageOnly, &["2001:db8::100", "fe80::70:33"]);
    assert_eq!(global.decode(Version::V3), Err(Discard::FirstNotLinkLocal));
}

#[test]
fn r10_the_reserved_nibble_is_ignored() {
    let sample = Sample::v3().with(&[(4, 0xf0)]);
    assert_eq!(sample.decode(Version::V3).unwrap().interval, Interval::SECOND);
}

#[test]
fn r16_the_family_comes_from_the_ip_header() {
    // One message that is right in both lengths: 4 IPv4 addresses, or one IPv6 address.
    let v4 = Sample::new(V4, Version::V3, ChecksumForm::MessageOnly, &["10.9.0.100"; 4]);
    assert_eq!(v4.decode(Version::V3).unwrap().addresses().count(), 4);
    let v6 = Sample { source: V6.parse().unwrap(), destination: GROUP_V6.into(), ..v4 };
    assert_eq!(v6.decode(Version::V3), Err(Discard::Length));
}

#[test]
fn r18_version_2_authentication_is_refused() {
    for kind in [1, 2] {
        assert_eq!(Sample::v2().with(&[(4, kind)]).decode(Version::V2), Err(Discard::Authentication));
    }
    // An interval that ours could not say cannot be the configured one.
    assert_eq!(Sample::v2().with(&[(5, 41)]).decode(Version::V2), Err(Discard::IntervalMismatch));
}

#[test]
fn t5_reserve_is_zero_and_the_interval_has_twelve_bits() {
    let sample = Sample::v3();
    assert_eq!(sample.message[..6], [0x31, 51, 254, 1, 0, 100]);
    let addresses = ["10.9.0.100".parse().unwrap()];
    let longest = Outgoing { interval: Interval::try_from(4095).unwrap(), ..outgoing(&addresses) };
    assert_eq!(longest.encode(&mut [0; LONGEST])[4..6], [0x0f, 0xff]);
}

#[test]
fn t6_the_checksum_is_sent_in_the_chosen_form() {
    // Worked by hand: 0x3133 + 0xfe01 + 0x0064 + 0x0a09 + 0x0064 = 0x13a05, folded 0x3a06, inverted 0xc5f9.
    assert_eq!(Sample::v3().message[6..8], [0xc5, 0xf9]);
    // The pseudo-header adds 0x0a09 + 0x000b + 0xe000 + 0x0012 + 12 + 112.
    let pseudo = Sample::new(V4, Version::V3, ChecksumForm::PseudoHeader, &["10.9.0.100"]);
    let with: u32 = 0x3a06 + 0x0a09 + 0x000b + 0xe000 + 0x0012 + 12 + 112;
    assert_eq!(pseudo.message[6..8], (!fold(with)).to_be_bytes());
}

#[test]
fn t8_addresses_keep_their_order() {
    let sample = Sample::v6();
    let addresses: Vec<String> =
        sample.decode(Version::V3).unwrap().addresses().map(|address| address.to_string()).collect();
    assert_eq!(addresses, ["fe80::70:33", "2001:db8::100"]);
}

#[test]
fn i2_version_2_says_whole_seconds_and_ends_with_eight_octets_of_no_authentication() {
    let sample = Sample::v2();
    assert_eq!(sample.message.len(), 8 + 4 + 8);
    assert_eq!(sample.message[..6], [0x21, 51, 254, 1, 0, 1]);
    assert_eq!(sample.message[12..], [0; 8]);
    assert_eq!(sample.decode(Version::V2).unwrap().interval, Interval::SECOND);
}

#[test]
fn every_reason_has_words_of_its_own() {
    let texts: std::collections::BTreeSet<_> =
        Discard::ALL.iter().map(|it| it.text()).chain(Remark::ALL.iter().map(|it| it.text())).collect();
    assert_eq!(texts.len(), Discard::ALL.len() + Remark::ALL.len());
}

fn outgoing(addresses: &[IpAddr]) -> Outgoing<'_> {
    Outgoing {
        version: Version::V3,
        vrid: Vrid::try_from(51).unwrap(),
        priority: 254,
        interval: Interval::SECOND,
        checksum: ChecksumForm::MessageOnly,
        addresses,
        source: V4.parse().unwrap(),
        destination: GROUP_V4.into(),
    }
}

prop_compose! {
    fn any_outgoing()(
        version in prop_oneof![Just(Version::V2), Just(Version::V3)],
        v6 in any::<bool>(),
        vrid in 1_u8..,
        priority in any::<u8>(),
        interval in 1_u16..=4095,
        form in prop_oneof![Just(ChecksumForm::MessageOnly), Just(ChecksumForm::PseudoHeader)],
        addresses in prop::collection::vec(any::<[u8; 16]>(), 1..90),
        source in any::<[u8; 16]>(),
    ) -> (Version, u8, u8, u16, ChecksumForm, Vec<IpAddr>, IpAddr) {
        let v6 = v6 && version == Version::V3;
        let interval = if version == Version::V2 { interval.div_ceil(100).min(40) * 100 } else { interval };
        let address = |octets: &[u8; 16]| -> IpAddr {
            if v6 { IpAddr::from(*octets) } else { IpAddr::from([octets[0], octets[1], octets[2], octets[3]]) }
        };
        let mut addresses: Vec<IpAddr> = addresses.iter().map(address).collect();
        if v6 {
            addresses.insert(0, "fe80::70:33".parse().unwrap());
        }
        (version, vrid, priority, interval, form, addresses, address(&source))
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_to_the_same(
        (version, vrid, priority, interval, checksum, addresses, source) in any_outgoing()
    ) {
        let (vrid, interval) = (Vrid::try_from(vrid).unwrap(), Interval::try_from(interval).unwrap());
        let destination = Family::of(source).group();
        let outgoing =
            Outgoing { version, vrid, priority, interval, checksum, addresses: &addresses, source, destination };
        let mut buffer = [0; LONGEST];
        let message = outgoing.encode(&mut buffer);
        let advert = decode(&Datagram { source, destination, ttl: TTL, message }, version, TTL).unwrap();
        prop_assert_eq!((advert.version, advert.vrid, advert.priority), (version, vrid, priority));
        prop_assert_eq!(advert.interval, interval);
        prop_assert!(advert.addresses().eq(addresses.iter().copied()));
    }

    #[test]
    fn no_octets_panic_and_what_is_accepted_is_all_of_the_message(
        message in prop::collection::vec(any::<u8>(), 0..200), v6 in any::<bool>(), v2 in any::<bool>()
    ) {
        let source: IpAddr = if v6 { V6.parse().unwrap() } else { V4.parse().unwrap() };
        let version = if v2 { Version::V2 } else { Version::V3 };
        let datagram = Datagram { source, destination: Family::of(source).group(), ttl: TTL, message: &message };
        if let Ok(advert) = decode(&datagram, version, TTL) {
            let width = if v6 { 16 } else { 4 };
            prop_assert_eq!(message.len(), 8 + advert.addresses().count() * width + if v2 { 8 } else { 0 });
        }
        let _ = Datagram::from_ipv4(&message);
    }
}
