//! Asks "who has this address?" at a steady rate, as clients with an empty neighbour table would.
//!
//! It asks under one address after the other. Of two answers to one asker within a round of askers it is therefore certain that they
//! answer the same question: that two hosts hold the address at one moment.

use super::frame::{pseudo_header, sum};
use super::lab::{Lab, SWITCH};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, bind, socket};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Fine enough to place an answer within a millisecond, coarse enough to leave the machine to the speakers.
pub const PERIOD: Duration = Duration::from_millis(1);
/// How many addresses it asks under. Each leaves an entry in the neighbour table of each host, and all namespaces of a machine share one
/// limit (`gc_thresh3`, 1024): at 200 askers, six labs side by side filled it, and advertisements were lost for want of an entry.
pub const ASKERS: u8 = 16;

/// A running prober; it ends with this value.
#[derive(Debug)]
pub struct Prober {
    done: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    pub fn start(lab: &Lab, address: IpAddr) -> Self {
        let (socket, mac) = lab.switch.within(open);
        let question = |asker| match address {
            IpAddr::V4(address) => arp_request(mac, asker, address),
            IpAddr::V6(address) => neighbour_solicitation(mac, asker, address),
        };
        let questions: Vec<Vec<u8>> = (0..ASKERS).map(question).collect();
        let done = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&done);
        let thread = thread::spawn(move || {
            let mut next = Instant::now();
            for question in questions.iter().cycle() {
                if until.load(Ordering::Relaxed) {
                    break;
                }
                // A full queue costs one question; the next one follows.
                let _ = nix::unistd::write(&socket, question);
                // After a late wake-up go on from now: a burst would not measure anything more.
                next = (next + PERIOD).max(Instant::now());
                thread::sleep(next.saturating_duration_since(Instant::now()));
            }
        });
        Self { done, thread: Some(thread) }
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A packet socket that sends by the switch's own link and receives nothing, and that link's hardware address.
pub fn open() -> (OwnedFd, [u8; 6]) {
    let link = nix::ifaddrs::getifaddrs()
        .unwrap()
        .filter(|entry| entry.interface_name == SWITCH)
        .find_map(|entry| entry.address?.as_link_addr().copied())
        .unwrap();
    let silent: Option<SockProtocol> = None;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, silent).unwrap();
    bind(std::os::fd::AsRawFd::as_raw_fd(&socket), &link).unwrap();
    (socket, link.addr().unwrap())
}

fn arp_request(mac: [u8; 6], asker: u8, address: Ipv4Addr) -> Vec<u8> {
    let asker = Ipv4Addr::new(10, 77, 255, asker);
    let ethernet = [&[0xff; 6][..], &mac, &[0x08, 0x06]].concat();
    let fixed = [0, 1, 0x08, 0, 6, 4, 0, 1];
    [&ethernet[..], &fixed, &mac, &asker.octets(), &[0; 6], &address.octets()].concat()
}

fn neighbour_solicitation(mac: [u8; 6], asker: u8, address: Ipv6Addr) -> Vec<u8> {
    let asker = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x77ff, asker.into());
    let target = address.octets();
    // The solicited-node group and its Ethernet address (RFC 4291 §2.7.1, RFC 2464 §7).
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(target[13]),
        u16::from_be_bytes([target[14], target[15]]),
    );
    let mut message = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &target, &[1, 1], &mac].concat();
    let checksum = !sum(&message, pseudo_header(asker.into(), group.into(), 58, message.len()));
    message[2..4].copy_from_slice(&checksum.to_be_bytes());
    let length = u8::try_from(message.len()).unwrap();
    let ethernet = [&[0x33, 0x33, 0xff][..], &target[13..], &mac, &[0x86, 0xdd]].concat();
    let header = [0x60, 0, 0, 0, 0, length, 58, 255];
    [&ethernet[..], &header, &asker.octets(), &group.octets(), &message].concat()
}
