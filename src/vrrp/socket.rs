//! The sockets of the daemon, and all of its `unsafe`: raw VRRP sockets, the packet socket for announcements, the scheduler.
//!
//! nix knows neither protocol 112 nor a constructor for link-layer addresses nor `sched_setscheduler`, so those calls are made here
//! through libc, each with its proof beside it. Nothing here decides; the codec judges what is received.

#![allow(unsafe_code)]

use super::packet::{Datagram, Discard, Family, PROTOCOL, TTL};
use super::time::Time;
use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
};
use nix::time::{ClockId, clock_gettime};
use std::ffi::{c_int, c_void};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::size_of;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Room for the longest datagram: any IPv4 header and the longest message.
const LONGEST: usize = 60 + super::packet::LONGEST;
/// DSCP CS6, network control: what routing protocols use (T9).
const CLASS_NETWORK_CONTROL: c_int = 0xc0;
/// Room for several rounds of 255 routers: a datagram costs the kernel about 1 KiB, and one that is dropped here looks like
/// silence.
const RECEIVE_BUFFER: c_int = 2 << 20;
/// Not in libc for every target: let this socket see only the groups it joined itself (linux/in.h, linux/in6.h).
const IP_MULTICAST_ALL: c_int = 49;
const IPV6_MULTICAST_ALL: c_int = 29;

/// Borrows a descriptor from the owner of which it was taken.
pub(super) fn borrow<Owner>(fd: RawFd, _owner: &Owner) -> BorrowedFd<'_> {
    // SAFETY: the descriptor stays open as long as its owner is borrowed, which the lifetime of the result enforces.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

fn open(domain: c_int, kind: c_int, protocol: c_int) -> io::Result<OwnedFd> {
    // SAFETY: socket(2) takes integers only.
    let fd = unsafe { libc::socket(domain, kind | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor; nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Sets an option whose value is plain data.
fn set<T: Copy>(socket: &OwnedFd, level: c_int, name: c_int, value: T) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<T>()).map_err(io::Error::other)?;
    // SAFETY: the pointer is valid for `length` octets during the call; the kernel copies them.
    let result =
        unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, (&raw const value).cast::<c_void>(), length) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn bind_to_device(socket: &OwnedFd, link: &str) -> io::Result<()> {
    let name = std::ffi::OsString::from(link);
    Ok(nix::sys::socket::setsockopt(socket, nix::sys::socket::sockopt::BindToDevice, &name)?)
}

/// One link and one family: receives every VRRP datagram that arrives there, and sends.
#[derive(Debug)]
pub struct Port {
    receive: OwnedFd,
    send: OwnedFd,
    family: Family,
    index: u32,
}

/// A datagram as it was received, and when.
#[derive(Debug, Clone, Copy)]
pub struct Received<'a> {
    /// What arrived, or why it is not one of ours.
    pub datagram: Result<Datagram<'a>, Discard>,
    /// When the kernel received it.
    pub at: Time,
}

/// Where datagrams are received into.
#[derive(Debug)]
pub struct Buffer {
    octets: Box<[u8; LONGEST]>,
    control: Vec<u8>,
}

impl Default for Buffer {
    fn default() -> Self {
        let control = nix::cmsg_space!(libc::in6_pktinfo, c_int, libc::timespec);
        Self { octets: Box::new([0; LONGEST]), control }
    }
}

impl Port {
    /// Opens both sockets on a link and joins the group of the family.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or when the link vanished.
    pub fn open(link: &str, index: u32, family: Family) -> io::Result<Self> {
        let domain = match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        let protocol = c_int::from(PROTOCOL);
        let raw = libc::SOCK_RAW | libc::SOCK_NONBLOCK;
        let (receive, send) = (open(domain, raw, protocol)?, open(domain, raw, protocol)?);
        for socket in [&receive, &send] {
            bind_to_device(socket, link)?;
        }
        let interface = c_int::try_from(index).map_err(io::Error::other)?;
        match family {
            Family::V4 => {
                set(&receive, libc::IPPROTO_IP, IP_MULTICAST_ALL, 0 as c_int)?;
                let request = libc::ip_mreqn {
                    imr_multiaddr: libc::in_addr { s_addr: u32::from(super::packet::GROUP_V4).to_be() },
                    imr_address: libc::in_addr { s_addr: 0 },
                    imr_ifindex: interface,
                };
                set(&receive, libc::IPPROTO_IP, libc::IP_ADD_MEMBERSHIP, request)?;
                set(&send, libc::IPPROTO_IP, libc::IP_MULTICAST_IF, request)?;
                set(&send, libc::IPPROTO_IP, libc::IP_MULTICAST_LOOP, 0 as c_int)?;
                set(&send, libc::IPPROTO_IP, libc::IP_MULTICAST_TTL, c_int::from(TTL))?;
                set(&send, libc::IPPROTO_IP, libc::IP_TTL, c_int::from(TTL))?;
                set(&send, libc::IPPROTO_IP, libc::IP_TOS, CLASS_NETWORK_CONTROL)?;
            }
            Family::V6 => {
                set(&receive, libc::IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0 as c_int)?;
                set(&receive, libc::IPPROTO_IPV6, libc::IPV6_RECVHOPLIMIT, 1 as c_int)?;
                set(&receive, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1 as c_int)?;
                let request = libc::ipv6_mreq {
                    ipv6mr_multiaddr: libc::in6_addr { s6_addr: super::packet::GROUP_V6.octets() },
                    ipv6mr_interface: index,
                };
                set(&receive, libc::IPPROTO_IPV6, libc::IPV6_ADD_MEMBERSHIP, request)?;
                set(&send, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_IF, interface)?;
                set(&send, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_LOOP, 0 as c_int)?;
                set(&send, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_HOPS, c_int::from(TTL))?;
                set(&send, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS, c_int::from(TTL))?;
                set(&send, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, CLASS_NETWORK_CONTROL)?;
            }
        }
        set(&receive, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1 as c_int)?;
        set(&receive, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER)?;
        // The sending socket is never read: the smallest queue keeps copies of what arrives from piling up.
        set(&send, libc::SOL_SOCKET, libc::SO_RCVBUF, 0 as c_int)?;
        Ok(Self { receive, send, family, index })
    }

    /// The link it is bound to.
    pub fn index(&self) -> u32 {
        self.index
    }

    /// The family it speaks.
    pub fn family(&self) -> Family {
        self.family
    }

    /// The next datagram, or nothing if none is waiting.
    ///
    /// # Errors
    /// Other than that nothing is waiting, for example that the link went down.
    pub fn receive<'a>(&self, buffer: &'a mut Buffer) -> io::Result<Option<Received<'a>>> {
        let Buffer { octets, control } = buffer;
        let (length, source, destination, hops, stamp) = {
            let mut slices = [IoSliceMut::new(&mut octets[..])];
            let flags = MsgFlags::MSG_DONTWAIT;
            let message = match recvmsg::<SockaddrStorage>(self.receive.as_raw_fd(), &mut slices, Some(control), flags)
            {
                Ok(message) => message,
                Err(Errno::EAGAIN | Errno::EINTR) => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let (mut destination, mut hops, mut stamp) = (None, None, None);
            for entry in message.cmsgs()? {
                match entry {
                    ControlMessageOwned::Ipv6PacketInfo(info) => {
                        destination = Some(IpAddr::from(Ipv6Addr::from(info.ipi6_addr.s6_addr)));
                    }
                    ControlMessageOwned::Ipv6HopLimit(limit) => hops = u8::try_from(limit).ok(),
                    ControlMessageOwned::ScmTimestampns(time) => stamp = Some(Duration::from(time)),
                    _ => {}
                }
            }
            let source =
                message.address.and_then(|address| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())));
            (message.bytes, source, destination, hops, stamp)
        };
        let octets = &octets[..length];
        let datagram = match (self.family, source, destination, hops) {
            (Family::V4, ..) => Datagram::from_ipv4(octets),
            (Family::V6, Some(source), Some(destination), Some(ttl)) => {
                Ok(Datagram { source, destination, ttl, message: octets })
            }
            (Family::V6, ..) => Err(Discard::Header),
        };
        let wall = Duration::from(clock_gettime(ClockId::CLOCK_REALTIME)?);
        Ok(Some(Received { datagram, at: arrived(stamp, wall, now()?) }))
    }

    /// Sends one message from `source` to `destination`.
    ///
    /// # Errors
    /// Whatever the kernel says, such as that the link is down.
    pub fn send(&self, message: &[u8], source: IpAddr, destination: IpAddr) -> io::Result<()> {
        let slices = [IoSlice::new(message)];
        let fd = self.send.as_raw_fd();
        let sent = match (source, destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let info = libc::in_pktinfo {
                    ipi_ifindex: c_int::try_from(self.index).map_err(io::Error::other)?,
                    ipi_spec_dst: libc::in_addr { s_addr: u32::from(source).to_be() },
                    ipi_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::UNSPECIFIED) },
                };
                let to = SockaddrIn::from(std::net::SocketAddrV4::new(destination, 0));
                sendmsg(fd, &slices, &[ControlMessage::Ipv4PacketInfo(&info)], MsgFlags::MSG_DONTWAIT, Some(&to))?
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let info = libc::in6_pktinfo {
                    ipi6_addr: libc::in6_addr { s6_addr: source.octets() },
                    ipi6_ifindex: self.index,
                };
                let to = SockaddrIn6::from(std::net::SocketAddrV6::new(destination, 0, 0, self.index));
                sendmsg(fd, &slices, &[ControlMessage::Ipv6PacketInfo(&info)], MsgFlags::MSG_DONTWAIT, Some(&to))?
            }
            _ => return Err(io::Error::new(io::ErrorKind::InvalidInput, "source and destination of two families")),
        };
        if sent == message.len() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::WriteZero)) }
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.receive.as_fd()
    }
}

/// When a datagram with this kernel stamp arrived, given both clocks now. The stamp is of the wall clock, so only its distance
/// from now counts, and a clock that was set in between is taken for no distance at all (B6).
fn arrived(stamp: Option<Duration>, wall: Duration, now: Time) -> Time {
    /// Longer than anything waits in a queue that is drained at every wake-up of a live host.
    const CREDIBLE: Duration = Duration::from_secs(60);
    match stamp.and_then(|stamp| wall.checked_sub(stamp)) {
        Some(age) if age < CREDIBLE => now.before(age),
        _ => now,
    }
}

/// The time of CLOCK_BOOTTIME.
///
/// # Errors
/// Never on a Linux that has the clock.
pub fn now() -> io::Result<Time> {
    let time = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME)?);
    Ok(Time::default().after(time))
}

/// Sends whole Ethernet frames on one link.
#[derive(Debug)]
pub struct FrameSocket(OwnedFd);

impl FrameSocket {
    /// Opens it for the link with `index`. Protocol 0: it receives nothing.
    ///
    /// # Errors
    /// Without CAP_NET_RAW, or when the link vanished.
    pub fn open(index: u32) -> io::Result<Self> {
        let socket = open(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_NONBLOCK, 0)?;
        let address = libc::sockaddr_ll {
            sll_family: u16::try_from(libc::AF_PACKET).map_err(io::Error::other)?,
            sll_protocol: 0,
            sll_ifindex: c_int::try_from(index).map_err(io::Error::other)?,
            sll_hatype: 0,
            sll_pkttype: 0,
            sll_halen: 0,
            sll_addr: [0; 8],
        };
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).map_err(io::Error::other)?;
        // SAFETY: the address is a whole sockaddr_ll, valid for `length` octets during the call; the kernel copies it.
        let result = unsafe { libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
        set(&socket, libc::SOL_SOCKET, libc::SO_MARK, super::fence::ANNOUNCEMENT_MARK)?;
        Ok(Self(socket))
    }

    /// Sends one frame.
    ///
    /// # Errors
    /// Whatever the kernel says.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        nix::sys::socket::send(self.0.as_raw_fd(), frame, MsgFlags::MSG_DONTWAIT)?;
        Ok(())
    }
}

/// Puts the calling thread back under the ordinary scheduler: the threads that write files and probe must not run before
/// the VRRP loop, whose real-time priority they inherit.
///
/// # Errors
/// When the kernel refuses, which leaves the thread as it was.
pub fn yield_to_the_loop() -> io::Result<()> {
    let ordinary = libc::sched_param { sched_priority: 0 };
    // SAFETY: pid 0 is the calling thread; the pointer is valid during the call and only read.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_OTHER, &raw const ordinary) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Keeps every page that is touched in memory: a page fault on a busy disk would make an advertisement late. Pages of the stacks
/// and the heap that are never touched stay out (MCL_ONFAULT): most of what is set aside for them is never used.
///
/// # Errors
/// Without CAP_IPC_LOCK or a sufficient RLIMIT_MEMLOCK.
pub fn lock_memory() -> io::Result<()> {
    // SAFETY: mlockall(2) takes flags only.
    let result = unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Brings the whole program and its libraries into memory and keeps them there. Without it the first bad packet or the first
/// contention, after months, would be judged by code that has to be read from the disk first.
///
/// # Errors
/// As [`lock_memory`], and when the program cannot be read.
pub fn lock_program() -> io::Result<()> {
    for mapping in files_in(&std::fs::read_to_string("/proc/self/maps")?) {
        // SAFETY: mlock(2) reads pages in and pins them, it changes none; a range that is not mapped is an error.
        let result = unsafe { libc::mlock(mapping.start as *const c_void, mapping.len()) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Where files are mapped, out of `/proc/PID/maps`.
fn files_in(maps: &str) -> impl Iterator<Item = Range<usize>> {
    maps.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let address = |hex| usize::from_str_radix(hex, 16).ok();
        fields.nth(4)?.starts_with('/').then_some(address(start)?..address(end)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b6_a_step_of_the_wall_clock_dates_no_datagram_wrongly() {
        let now = Time::from_nanos(7_200_000_000_000);
        let wall = Duration::from_secs(1_800_000_000);
        let hour = Duration::from_secs(3600);
        let two = Duration::from_millis(2);
        for (stamp, expected) in [
            (None, now),
            (Some(wall - two), now.before(two)),
            // Set forward and back by an hour since the kernel stamped it.
            (Some(wall - hour), now),
            (Some(wall + hour), now),
        ] {
            assert_eq!(arrived(stamp, wall, now), expected, "{stamp:?}");
        }
    }
    #[test]
    fn what_the_kernel_maps_beside_files_is_left_alone() {
        let maps = "55d0c0a00000-55d0c0ab4000 r--p 00000000 fe:00 131 /usr/lib/quorate/quorate vrrpd (deleted)\n\
                    55d0c1000000-55d0c1049000 rw-p 00000000 00:00 0                          [heap]\n\
                    7f00a0000000-7f00a0021000 rw-p 00000000 00:00 0 \n\
                    7f00b0000000-7f00b0156000 r-xp 00026000 fe:00 77                         /usr/lib/libc.so.6\n";
        let files: Vec<_> = files_in(maps).collect();
        assert_eq!(files, [0x55d0_c0a0_0000..0x55d0_c0ab_4000, 0x7f00_b000_0000..0x7f00_b015_6000]);
    }
}
