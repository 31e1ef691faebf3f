//! A host on the bridge that runs no daemon: it records every frame that reaches it, asks who has an address, and forges
//! datagrams.

use crate::lab::Lab;
use crate::wire::{Host, frame::sum};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, socket};
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

/// Its place on the switch, above those of all masters.
const PLACE: u8 = 98;
const VRRP: u8 = 112;
const UDP: u8 = 17;

/// The octets of a frame.
#[derive(Debug, Clone)]
pub struct Frame {
    pub octets: Vec<u8>,
}

impl Frame {
    /// An IPv4 or IPv6 VRRP datagram: the IP header, then the message.
    pub fn vrrp(&self) -> Option<(&[u8], &[u8])> {
        let ip = self.octets.get(14..)?;
        match (self.octets[12], self.octets[13]) {
            (0x08, 0x00) if ip[9] == 112 => {
                let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
                Some((&ip[..20], &ip[20..total]))
            }
            (0x86, 0xdd) if ip[6] == 112 => Some((&ip[..40], &ip[40..])),
            _ => None,
        }
    }

    /// An ARP packet about `vip`: who sends it.
    pub fn arp_from(&self, vip: Ipv4Addr) -> Option<String> {
        let arp = self.octets.get(14..42)?;
        (self.octets[12..14] == [8, 6] && arp[14..18] == vip.octets()).then(|| mac(&arp[8..14]))
    }

    /// The source MAC of the frame.
    pub fn source(&self) -> String {
        mac(&self.octets[6..12])
    }
}

pub fn mac(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}

/// The witness.
pub struct Witness {
    frames: Receiver<Frame>,
    sender: OwnedFd,
    /// Its link lives as long as this.
    host: Host,
    mac: [u8; 6],
}

impl Witness {
    /// Puts a witness on the switch; it records from now on.
    pub fn new(lab: &Lab) -> Self {
        let host = Host::plug(PLACE, &lab.wires.switch);
        let open = || {
            let socket =
                socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll).unwrap();
            let links = nix::ifaddrs::getifaddrs().unwrap().filter(|entry| entry.interface_name == "eth0");
            let link = links.filter_map(|entry| entry.address?.as_link_addr().copied()).next().unwrap();
            bind(socket.as_raw_fd(), &link).unwrap();
            socket
        };
        let (recorder, sender) = host.namespace.within(|| (open(), open()));
        let (put, frames) = channel();
        // It ends with the world of the test.
        std::thread::spawn(move || record(&recorder, &put));
        Self { frames, sender, mac: host.mac(), host }
    }

    /// Everything recorded since the last look.
    pub fn seen(&self) -> Vec<Frame> {
        self.frames.try_iter().collect()
    }

    /// Records for a while.
    pub fn watch(&self, span: Duration) -> Vec<Frame> {
        std::thread::sleep(span);
        self.seen()
    }

    /// Asks who has an address, once.
    pub fn ask(&self, vip: Ipv4Addr) {
        let mut frame =
            [&[0xff; 6][..], &self.mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &self.mac, &self.host.v4.octets()].concat();
        frame.extend([0; 6]);
        frame.extend(vip.octets());
        nix::unistd::write(&self.sender, &frame).unwrap();
    }

    /// Sends a VRRP datagram to the group, from whomever and with any TTL.
    pub fn forge(&self, source: Ipv4Addr, ttl: u8, message: &[u8]) {
        self.send([1, 0, 0x5e, 0, 0, 18], source, Ipv4Addr::new(224, 0, 0, 18), ttl, VRRP, message);
    }

    /// Sends an empty UDP datagram for `vip` to the host with this MAC address.
    pub fn misroute(&self, mac: [u8; 6], vip: Ipv4Addr) {
        // Ports 9 (discard), length 8, no checksum.
        self.send(mac, self.host.v4, vip, 64, UDP, &[0, 9, 0, 9, 0, 8, 0, 0]);
    }

    fn send(&self, mac: [u8; 6], source: Ipv4Addr, to: Ipv4Addr, ttl: u8, protocol: u8, payload: &[u8]) {
        let total = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
        let mut header = vec![0x45, 0xc0, total[0], total[1], 0, 0, 0, 0, ttl, protocol, 0, 0];
        header.extend(source.octets());
        header.extend(to.octets());
        let checksum = !sum(&header, 0);
        header[10..12].copy_from_slice(&checksum.to_be_bytes());
        let frame = [&mac[..], &self.mac, &[8, 0], &header, payload].concat();
        nix::unistd::write(&self.sender, &frame).unwrap();
    }
}

fn record(socket: &OwnedFd, put: &Sender<Frame>) {
    let mut buffer = [0; 2048];
    while let Ok(length) = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
        if length >= 34 && put.send(Frame { octets: buffer[..length].to_vec() }).is_err() {
            return;
        }
    }
}
