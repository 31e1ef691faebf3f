//! What strangers send to the VRRP daemon.
//!
//! Valid messages are mutated octet by octet, so that most inputs get past the first checks. What must hold: nothing panics,
//! what is accepted is accounted for to the last octet, and encoding it again gives the same octets.

use quorate::ident::Vrid;
use quorate::vrrp::packet::{Advert, ChecksumForm, Datagram, Family, LONGEST, Outgoing, TTL, Version, decode};
use quorate::vrrp::time::Interval;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Long enough for some million inputs.
const BUDGET: Duration = Duration::from_secs(3);

/// xorshift64*: any stream will do, and a failing seed is printed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % sides
    }

    fn octet(&mut self) -> u8 {
        u8::try_from(self.roll(256)).unwrap()
    }
}

/// Valid messages to begin with.
fn seeds() -> Vec<(Version, IpAddr, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (version, source, addresses) in [
        (Version::V3, "10.9.0.11", &["10.9.0.100"][..]),
        (Version::V3, "10.9.0.11", &["10.9.0.100", "10.9.0.101", "10.9.0.102"]),
        (Version::V3, "fe80::11", &["fe80::70:33", "2001:db8::100"]),
        (Version::V2, "10.9.0.11", &["10.9.0.100"]),
    ] {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let source: IpAddr = source.parse().unwrap();
        for checksum in [ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader] {
            let outgoing = Outgoing {
                version,
                vrid: Vrid::try_from(51).unwrap(),
                priority: 254,
                interval: Interval::SECOND,
                checksum,
                addresses: &addresses,
                source,
                destination: Family::of(source).group(),
            };
            seeds.push((version, source, outgoing.encode(&mut [0; LONGEST]).to_vec()));
        }
    }
    seeds
}

/// Makes the checksum right, which no mutation would do by chance.
fn mend(message: &mut [u8], source: IpAddr) {
    if message.len() < 8 {
        return;
    }
    message[6..8].fill(0);
    let mut sum: u64 =
        message.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low))).sum();
    if let (IpAddr::V6(source), IpAddr::V6(group)) = (source, Family::V6.group()) {
        let words = source.segments().into_iter().chain(group.segments());
        sum += words.map(u64::from).sum::<u64>() + u64::try_from(message.len()).unwrap() + 112;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    message[6..8].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
}

fn encoded_again(advert: &Advert<'_>, source: IpAddr) -> Vec<u8> {
    let addresses: Vec<IpAddr> = advert.addresses().collect();
    let outgoing = Outgoing {
        version: advert.version,
        vrid: advert.vrid,
        priority: advert.priority,
        interval: advert.interval,
        checksum: advert.checksum,
        addresses: &addresses,
        source,
        destination: Family::of(source).group(),
    };
    outgoing.encode(&mut [0; LONGEST]).to_vec()
}

#[test]
fn no_message_panics_and_what_is_accepted_encodes_to_itself() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let seeds = seeds();
    let start = Instant::now();
    let (mut tried, mut accepted) = (0_u64, 0_u64);
    while start.elapsed() < BUDGET {
        for _ in 0..1000 {
            let seed = dice.0;
            let (version, source, mut message) = seeds[dice.roll(seeds.len())].clone();
            for _ in 0..dice.roll(4) {
                match dice.roll(4) {
                    0 => message.truncate(dice.roll(message.len() + 1)),
                    1 => message.extend((0..dice.roll(40)).map(|_| 0)),
                    _ if message.is_empty() => {}
                    _ => {
                        let at = dice.roll(message.len());
                        message[at] = dice.octet();
                    }
                }
            }
            if dice.roll(4) > 0 {
                mend(&mut message, source);
            }
            let datagram = Datagram { source, destination: Family::of(source).group(), ttl: TTL, message: &message };
            tried += 1;
            if let Ok(advert) = decode(&datagram, version, TTL) {
                accepted += 1;
                let mut again = encoded_again(&advert, source);
                // What a receiver ignores by the RFC is not kept: the reserved nibble, and authentication data of VRRPv2.
                let mut expected = message.clone();
                if version == Version::V3 {
                    expected[4] &= 0x0f;
                } else {
                    let data = expected.len() - 8;
                    expected[data..].fill(0);
                }
                again[6..8].fill(0);
                expected[6..8].fill(0);
                assert_eq!(again, expected, "seed {seed:#x}");
            }
        }
    }
    println!("{tried} messages, {accepted} accepted");
    assert!(accepted > tried / 20, "the mutations are so wild that they test nothing behind the checksum");
}

#[test]
fn no_packet_panics_the_header_reader() {
    let mut dice = Dice(0x0123_4567_89ab_cdef);
    let start = Instant::now();
    let mut packet = vec![0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 10, 9, 0, 11, 224, 0, 0, 18];
    packet.extend(&seeds()[0].2);
    let mut read = 0_u64;
    while start.elapsed() < BUDGET {
        for _ in 0..1000 {
            let mut packet = packet.clone();
            for _ in 0..dice.roll(4) {
                let at = dice.roll(packet.len());
                packet[at] = dice.octet();
            }
            packet.truncate(packet.len() - if dice.roll(3) == 0 { dice.roll(packet.len()) } else { 0 });
            if let Ok(datagram) = Datagram::from_ipv4(&packet) {
                read += 1;
                assert!(datagram.message.len() <= packet.len() - 20);
                let _ = decode(&datagram, Version::V3, TTL);
            }
        }
    }
    assert!(read > 1000);
}
