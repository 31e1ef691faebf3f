//! The thread that puts virtual addresses on links, keeps them there, takes them off and announces them.
//!
//! The kernel changes addresses under a lock that others hold for as long as they like, so the VRRP loop hands these errands over
//! and goes on. One thread does them in order: an announcement never comes before its address, a removal never overtakes an
//! installation. It holds nothing back and retries nothing: it tells the loop
//! what the kernel refused, and the machine decides.

use super::address;
use super::announce;
use super::fact::{Answer, Fact, Mailbox};
use super::netlink::{NetlinkError, Route};
use super::scribe::{Note, Notes};
use super::socket::FrameSocket;
use crate::ident::{Mac, Vrid};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// The link that an errand is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its index.
    pub index: u32,
    /// Its MAC address, which announcements carry.
    pub mac: Mac,
}

/// What is to be done with the addresses of one virtual router.
#[derive(Debug, Clone)]
pub struct Errand {
    /// Whose addresses; for messages.
    pub vrid: Vrid,
    /// Where.
    pub place: Place,
    /// The addresses.
    pub addresses: Arc<[IpAddr]>,
    /// What.
    pub task: Task,
}

/// What is to be done with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Put them on the link for so long, or extend them to it.
    Install {
        /// Without renewal.
        lifetime: Duration,
    },
    /// Take them off.
    Remove,
    /// Tell the neighbours.
    Announce,
}

/// Does errands over `route` until their sender is gone.
pub fn run(mut route: Route, errands: &Receiver<Errand>, mailbox: &Mailbox, notes: &Notes) {
    let mut sockets = BTreeMap::new();
    // Whose addresses the kernel refused when it was asked last.
    let mut refused = BTreeSet::new();
    for errand in errands {
        let Errand { vrid, place, addresses, task } = errand;
        let mut answer = Answer::Accepted;
        for address in addresses.iter() {
            let done = match task {
                Task::Install { lifetime } => address::install(&mut route, place.index, *address, lifetime),
                Task::Remove => address::remove(&mut route, place.index, *address),
                Task::Announce => announce(&mut sockets, place, *address),
            };
            let Err(error) = done else { continue };
            answer = Answer::Refused;
            // Said once: it is asked again many times a second.
            if !(matches!(task, Task::Install { .. }) && refused.contains(&(vrid, place.index))) {
                notes.tell(Note::ErrandFailed { vrid, address: *address, error });
            }
        }
        if let Task::Install { .. } = task {
            let key = (vrid, place.index);
            let news = match answer {
                Answer::Refused => {
                    refused.insert(key);
                    true
                }
                Answer::Accepted => refused.remove(&key),
            };
            if news {
                mailbox.tell(Fact::Vip { vrid, index: place.index, answer });
            }
        }
    }
}

fn announce(sockets: &mut BTreeMap<u32, FrameSocket>, place: Place, vip: IpAddr) -> Result<(), NetlinkError> {
    let refused = |source| NetlinkError::Refused { attempt: "announce the VIP", source };
    let socket = match sockets.entry(place.index) {
        std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::btree_map::Entry::Vacant(entry) => {
            entry.insert(FrameSocket::open(place.index).map_err(refused)?)
        }
    };
    let mut buffer = [0; announce::LONGEST];
    let sent = socket.send(announce::frame(vip, place.mac, &mut buffer));
    if sent.is_err() {
        // The link may have been replaced by another one; the next announcement opens a new socket.
        sockets.remove(&place.index);
    }
    sent.map_err(refused)
}
