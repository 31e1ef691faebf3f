//! The thread that watches links and addresses over route netlink and tells the VRRP loop what matters to it.
//!
//! A thread of its own, because a container network that makes a thousand links makes a thousand events, and the loop
//! must not read them. It never changes anything. When events were lost it looks at everything again.

use super::address::{self, Owner};
use super::fact::{Fact, LinkView, Mailbox};
use super::netlink::{NetlinkError, Route, borrow, messages, open};
use crate::ident::Mac;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use netlink_sys::{Socket, protocols::NETLINK_ROUTE};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};

/// RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR (linux/rtnetlink.h).
const GROUPS: u32 = 0x1 | 0x10 | 0x100;
/// One datagram of events is at most a page; several are read in one go.
const PIECE: usize = 32 * 1024;

/// The links that are watched; shared with the loop, which changes them at a reload.
#[derive(Debug, Clone)]
pub struct Watch {
    names: Arc<Mutex<BTreeSet<String>>>,
    poke: Arc<EventFd>,
}

impl Watch {
    /// Watches nothing yet.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> io::Result<Self> {
        let poke = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { names: Arc::default(), poke: Arc::new(poke) })
    }

    /// Watches these links from now on, and tells how each of them is.
    pub fn follow(&self, names: BTreeSet<String>) {
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = names;
        // Only a full counter is refused, and then the thread is being woken already.
        let _ = self.poke.write(1);
    }

    fn names(&self) -> BTreeSet<String> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Watches until the process ends.
///
/// # Errors
/// When netlink fails for good; the daemon cannot run blind.
pub fn run(watch: &Watch, mailbox: &Mailbox) -> Result<(), NetlinkError> {
    let events = open(NETLINK_ROUTE, GROUPS).map_err(NetlinkError::Open)?;
    events.set_non_blocking(true).map_err(NetlinkError::Open)?;
    let mut route = Route::open()?;
    loop {
        for (name, view) in survey(&mut route, &watch.names())? {
            mailbox.tell(Fact::Link { name, view });
        }
        loop {
            let mut waiting =
                [PollFd::new(borrow(&events), PollFlags::POLLIN), PollFd::new(watch.poke.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waiting, PollTimeout::NONE) {
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(NetlinkError::Talk(error.into())),
            }
            // The links to watch changed: look at all of them.
            if watch.poke.read().is_ok() {
                break;
            }
            match drain(&events, mailbox)? {
                Drained::Nothing => {}
                Drained::SomethingChanged => break,
            }
        }
    }
}

/// Whether what was drained calls for another look.
enum Drained {
    Nothing,
    SomethingChanged,
}

fn drain(events: &Socket, mailbox: &Mailbox) -> Result<Drained, NetlinkError> {
    let mut drained = Drained::Nothing;
    let mut piece = Vec::with_capacity(PIECE);
    loop {
        piece.clear();
        match events.recv(&mut piece, 0) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(drained),
            // Events were lost: what they would have said is there to be seen.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                drained = Drained::SomethingChanged;
                continue;
            }
            Err(error) => return Err(NetlinkError::Talk(error)),
        }
        for message in messages::<RouteNetlinkMessage>(&piece) {
            let NetlinkPayload::InnerMessage(message) = message?.payload else { continue };
            match message {
                RouteNetlinkMessage::DelAddress(message) => {
                    if let Some(found) = address::found(&message) {
                        mailbox.tell(Fact::AddressGone { index: found.index, address: found.address });
                    }
                    drained = Drained::SomethingChanged;
                }
                // Our own renewals, many a second, change nothing that is surveyed.
                RouteNetlinkMessage::NewAddress(message)
                    if address::found(&message).is_some_and(|found| found.owner == Owner::Us) => {}
                _ => drained = Drained::SomethingChanged,
            }
        }
    }
}

/// How each of the named links is now.
///
/// # Errors
/// When the kernel does not answer.
pub fn survey(route: &mut Route, names: &BTreeSet<String>) -> Result<Vec<(String, LinkView)>, NetlinkError> {
    let addresses = address::all(route)?;
    let links = route.dump("list links", RouteNetlinkMessage::GetLink(LinkMessage::default()))?;
    let mut views: Vec<(String, LinkView)> = names.iter().map(|name| (name.clone(), LinkView::Missing)).collect();
    for message in &links {
        let RouteNetlinkMessage::NewLink(message) = message else { continue };
        let (mut name, mut mac) = (None, Mac([0; 6]));
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(is) => name = Some(is),
                LinkAttribute::Address(octets) => mac = octets.as_slice().try_into().map_or(mac, Mac),
                _ => {}
            }
        }
        // IFF_RUNNING follows the operational state: administratively up, carrier present, not dormant (RFC 2863).
        let ready = LinkFlags::Up | LinkFlags::Running;
        if let Some((_, view)) = views.iter_mut().find(|(wanted, _)| Some(wanted) == name) {
            *view = if message.header.flags.contains(ready) {
                LinkView::up(message.header.index, mac, &addresses)
            } else {
                LinkView::Down
            };
        }
    }
    Ok(views)
}
