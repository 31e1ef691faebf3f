//! A client of the VIP with a stop-watch: what a failover looks like from the link.
//!
//! It pings the VIP every few milliseconds and reads every frame on the bridge, both stamped by the kernel. A failover
//! is timed from the kill to the first gratuitous ARP for the VIP, and to the first answer to a ping that was *sent*
//! after the kill: an answer that was still under way proves nothing.

use super::network::{BRIDGE, CLIENT, VIP};
use anyhow::Context as _;
use nix::cmsg_space;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, bind,
    recvmsg, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use std::collections::BTreeSet;
use std::io::IoSliceMut;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// Between two pings: the resolution of the measurement by answers.
const PING_EVERY: Duration = Duration::from_millis(5);

/// Time since the epoch, as the kernel stamps packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stamp(Duration);

impl Stamp {
    /// The present.
    pub fn now() -> anyhow::Result<Self> {
        Ok(Self::from(clock_gettime(ClockId::CLOCK_REALTIME)?))
    }

    /// The time from `earlier` to this.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl From<TimeSpec> for Stamp {
    fn from(time: TimeSpec) -> Self {
        Self(Duration::from(time))
    }
}

/// Something seen on the link.
#[derive(Debug, Clone, Copy)]
enum Sighting {
    /// A gratuitous ARP for the VIP, from this hardware address.
    Announced { at: Stamp, by: [u8; 6] },
    /// The VIP answered a ping.
    Answered { at: Stamp, sent: Stamp },
}

/// How a failover looked.
#[derive(Debug, Clone, Copy)]
pub struct Failover {
    /// From the kill to the first gratuitous ARP.
    pub announced: Duration,
    /// From the kill to the first answer.
    pub answered: Duration,
    /// Who announced the VIP.
    pub by: [u8; 6],
}

/// The running observation; it ends when this is dropped.
#[derive(Debug)]
pub struct Observer {
    seen: Arc<Mutex<Vec<Sighting>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    /// Starts to look and to ping.
    pub fn start() -> anyhow::Result<Self> {
        let watch = Watch::open()?;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let over = Arc::new(AtomicBool::new(false));
        let thread = {
            let (seen, over) = (Arc::clone(&seen), Arc::clone(&over));
            std::thread::spawn(move || {
                if let Err(error) = watch.run(&seen, &over) {
                    eprintln!("the observer ended: {error:#}");
                }
            })
        };
        Ok(Self { seen, over, thread: Some(thread) })
    }

    /// Whether the VIP answered a ping sent after `moment`.
    pub fn answered_since(&self, moment: Stamp) -> Option<Duration> {
        self.seen().iter().find_map(|sighting| match sighting {
            Sighting::Answered { at, sent } if *sent > moment => Some(at.since(moment)),
            _ => None,
        })
    }

    /// The failover that began at `killed`, once both marks of its end were seen.
    pub fn failover_since(&self, killed: Stamp) -> Option<Failover> {
        let announced = self.seen().iter().find_map(|sighting| match sighting {
            Sighting::Announced { at, by } if *at > killed => Some((*at, *by)),
            _ => None,
        });
        let (announced, by) = announced?;
        // From the announcement on: an answer that the dead master had sent already says nothing of its successor.
        let answered = self.answered_since(announced)?;
        Some(Failover { announced: announced.since(killed), answered: announced.since(killed) + answered, by })
    }

    /// The hardware addresses that announced the VIP after `moment`.
    pub fn announcers_since(&self, moment: Stamp) -> BTreeSet<[u8; 6]> {
        let of = |sighting: &Sighting| match sighting {
            Sighting::Announced { at, by } if *at > moment => Some(*by),
            _ => None,
        };
        self.seen().iter().filter_map(of).collect()
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Vec<Sighting>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Watch {
    frames: OwnedFd,
    pings: OwnedFd,
    bridge: usize,
}

impl Watch {
    fn open() -> anyhow::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let frames = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        let pings = socket(AddressFamily::Inet, SockType::Raw, flags, SockProtocol::Icmp)?;
        bind(pings.as_raw_fd(), &SockaddrIn::from(std::net::SocketAddrV4::new(CLIENT, 0)))?;
        for socket in [&frames, &pings] {
            setsockopt(socket, sockopt::ReceiveTimestampns, &true)?;
        }
        let bridge = if_nametoindex(BRIDGE).context("the lab has no bridge")?;
        Ok(Self { frames, pings, bridge: usize::try_from(bridge)? })
    }

    fn run(&self, seen: &Mutex<Vec<Sighting>>, over: &AtomicBool) -> anyhow::Result<()> {
        let mut sequence = 0_u16;
        let mut due = Stamp::now()?;
        while !over.load(Ordering::Relaxed) {
            let now = Stamp::now()?;
            if now >= due {
                sequence = sequence.wrapping_add(1);
                // Without an answer to its ARP request the kernel refuses to send after a while: that is "no answer".
                let vip = SockaddrIn::from(std::net::SocketAddrV4::new(VIP, 0));
                let _ = sendto(self.pings.as_raw_fd(), &ping(sequence, now), &vip, MsgFlags::empty());
                due = Stamp(now.0 + PING_EVERY);
            }
            let mut ready = [
                PollFd::new(self.frames.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.pings.as_fd(), PollFlags::POLLIN),
            ];
            poll(&mut ready, PollTimeout::from(2_u8))?;
            while let Some(frame) = receive(&self.frames)? {
                if frame.link == Some(self.bridge)
                    && let Some(by) = gratuitous_arp(&frame.bytes, VIP)
                {
                    push(seen, Sighting::Announced { at: frame.at, by });
                }
            }
            while let Some(packet) = receive(&self.pings)? {
                if let Some(sent) = answer(&packet.bytes, VIP) {
                    push(seen, Sighting::Answered { at: packet.at, sent });
                }
            }
        }
        Ok(())
    }
}

fn push(seen: &Mutex<Vec<Sighting>>, sighting: Sighting) {
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(sighting);
}

/// What a socket had to read.
struct Received {
    bytes: Vec<u8>,
    /// When the kernel received it.
    at: Stamp,
    /// The link it came from, where the socket tells.
    link: Option<usize>,
}

/// The next packet of a socket.
fn receive(socket: &OwnedFd) -> anyhow::Result<Option<Received>> {
    let mut bytes = [0; 2048];
    let mut control = cmsg_space!(TimeSpec);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = match recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty()) {
        Ok(message) => message,
        Err(nix::errno::Errno::EAGAIN) => return Ok(None),
        Err(error) => return Err(error).context("cannot read from the link"),
    };
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(time) => Some(Stamp::from(time)),
        _ => None,
    });
    let link = message.address.map(|address| address.ifindex());
    let (length, at) = (message.bytes, stamp.context("a packet without a time stamp")?);
    Ok(Some(Received { bytes: bytes[..length].to_vec(), at, link }))
}

/// An ICMP echo request that carries the time of its sending.
fn ping(sequence: u16, sent: Stamp) -> Vec<u8> {
    let mut packet = vec![8, 0, 0, 0, b'q', b'l'];
    packet.extend(sequence.to_be_bytes());
    packet.extend(sent.0.as_nanos().to_be_bytes());
    let sum = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let checksum = !((folded & 0xffff) + (folded >> 16));
    packet[2..4].copy_from_slice(&checksum.to_be_bytes()[2..]);
    packet
}

/// When the ping was sent that this IPv4 packet from `source` answers.
fn answer(packet: &[u8], source: Ipv4Addr) -> Option<Stamp> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let icmp = packet.get(header..)?;
    let ours = packet.get(12..16)? == source.octets() && icmp.first() == Some(&0) && icmp.get(4..6)? == b"ql";
    let sent = u128::from_be_bytes(icmp.get(8..24)?.try_into().ok()?);
    ours.then(|| Some(Stamp(Duration::from_nanos(u64::try_from(sent).ok()?)))).flatten()
}

/// The hardware address that an Ethernet frame announces for `address`: sender and target of the ARP are the same.
fn gratuitous_arp(frame: &[u8], address: Ipv4Addr) -> Option<[u8; 6]> {
    let arp = frame.get(14..42)?;
    let gratuitous =
        frame.get(12..14)? == [0x08, 0x06] && arp[14..18] == address.octets() && arp[24..28] == address.octets();
    if gratuitous { arp[8..14].try_into().ok() } else { None }
}
