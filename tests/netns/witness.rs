//! A host on the bridge that runs no daemon: it records every frame that reaches it, asks who has an address, and forges
//! datagrams.

use crate::lab::{Host, Lab};
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, setsockopt, socket, sockopt};
use nix::sys::time::{TimeVal, TimeValLike};
use quorate::vrrp::socket::FrameSocket;
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

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

fn mac(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect::<Vec<_>>().join(":")
}

/// The witness.
pub struct Witness {
    frames: Receiver<Frame>,
    sender: FrameSocket,
    mac: [u8; 6],
}

impl Witness {
    /// Puts a witness on the bridge; it records from now on.
    pub fn new(lab: &mut Lab) -> Self {
        let at = lab.add("w9", 99);
        let host = lab.hosts.remove(at);
        let (socket, sender) = inside(&host, || {
            let flags = SockFlag::SOCK_CLOEXEC;
            let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll).unwrap();
            setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50)).unwrap();
            let index = nix::net::if_::if_nametoindex("eth0").unwrap();
            (socket, FrameSocket::open(index).unwrap())
        });
        let mut octets = [0; 6];
        for (octet, text) in octets.iter_mut().zip(host.mac().split(':')) {
            *octet = u8::from_str_radix(text, 16).unwrap();
        }
        // The namespace lives as long as its socket: it is removed with the lab through the bridge's end of the wire.
        lab.hosts.push(host);
        let (put, frames) = channel();
        std::thread::spawn(move || record(&socket, &put));
        Self { frames, sender, mac: octets }
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
            [&[0xff; 6][..], &self.mac, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &self.mac, &[10, 9, 0, 99]].concat();
        frame.extend([0; 6]);
        frame.extend(vip.octets());
        self.sender.send(&frame).unwrap();
    }

    /// Sends an IPv4 datagram with a header of our choosing.
    pub fn forge(&self, source: Ipv4Addr, ttl: u8, message: &[u8]) {
        let total = u16::try_from(20 + message.len()).unwrap().to_be_bytes();
        let mut header = vec![0x45, 0xc0, total[0], total[1], 0, 0, 0, 0, ttl, 112, 0, 0];
        header.extend(source.octets());
        header.extend([224, 0, 0, 18]);
        let sum: u32 = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        header[10..12].copy_from_slice(&(!folded).to_be_bytes());
        let frame = [&[1, 0, 0x5e, 0, 0, 18][..], &self.mac, &[8, 0], &header, message].concat();
        self.sender.send(&frame).unwrap();
    }
}

fn record(socket: &OwnedFd, put: &std::sync::mpsc::Sender<Frame>) {
    let mut buffer = [0; 2048];
    loop {
        match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
            Ok(length) if length >= 34 => {
                if put.send(Frame { octets: buffer[..length].to_vec() }).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(nix::errno::Errno::EAGAIN) => {
                // Nobody to record for any more ends the thread at the next frame; a silent wire ends with its namespace.
            }
            Err(_) => return,
        }
    }
}

/// Runs something in a host's namespace, on a thread of its own.
pub fn inside<T: Send>(host: &Host, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let netns = File::open(format!("/run/netns/{}", host.netns)).unwrap();
                setns(netns, CloneFlags::CLONE_NEWNET).unwrap();
                work()
            })
            .join()
            .unwrap()
    })
}
