//! What the other threads tell the VRRP loop: a queue, and a bell that wakes its epoll.

use super::address::Found;
use super::config::{Config, Fence};
use super::health::Verdict;
use super::machine::{Obstacle, Sources};
use super::packet::Family;
use crate::ident::{Digest, Mac, Vrid};
use nix::sys::eventfd::{EfdFlags, EventFd};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// A link as the kernel shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkView {
    /// There is no link of that name.
    Missing,
    /// It is down or has no carrier.
    Down,
    /// It can send and receive.
    Up {
        /// Its index.
        index: u32,
        /// Its MAC address.
        mac: Mac,
        /// The addresses to send from.
        sources: Sources,
    },
}

impl LinkView {
    /// What keeps a router that advertises in `families` from using this link, if anything.
    pub fn obstacle(&self, families: &[Family]) -> Option<Obstacle> {
        let LinkView::Up { sources, .. } = self else {
            return Some(if *self == LinkView::Missing { Obstacle::LinkMissing } else { Obstacle::LinkDown });
        };
        families.iter().find(|family| sources.of(**family).is_none()).map(|family| match family {
            Family::V4 => Obstacle::NoIpv4Source,
            Family::V6 => Obstacle::NoIpv6Source,
        })
    }

    /// What a link that is up offers: its first usable address of each kind that is not one of our VIPs (T4).
    pub fn up(index: u32, mac: Mac, addresses: &[Found]) -> Self {
        use super::address::{Owner, Standing};
        let mut sources = Sources::default();
        let usable =
            |found: &&Found| found.index == index && found.owner == Owner::Others && found.standing == Standing::Usable;
        for found in addresses.iter().filter(usable) {
            match found.address {
                IpAddr::V4(address) => sources.v4 = sources.v4.or(Some(address)),
                IpAddr::V6(address) if address.is_unicast_link_local() => sources.v6 = sources.v6.or(Some(address)),
                IpAddr::V6(_) => {}
            }
        }
        LinkView::Up { index, mac, sources }
    }
}

/// What the kernel says when it is given addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// All of them are on the link.
    Accepted,
    /// At least one is not.
    Refused,
}

/// One thing that another thread found out.
#[derive(Debug)]
pub enum Fact {
    /// A link of ours, seen at start, after a change, and after a reload.
    Link {
        /// Its name.
        name: String,
        /// What the kernel shows.
        view: LinkView,
    },
    /// An address left a link, whoever removed it.
    AddressGone {
        /// The link.
        index: u32,
        /// The address.
        address: IpAddr,
    },
    /// What the kernel said to an attempt to put the addresses of a router on its link: every refusal, and the first acceptance
    /// after one.
    Vip {
        /// The router.
        vrid: Vrid,
        /// The link.
        index: u32,
        /// What it said.
        answer: Answer,
    },
    /// A configuration was read after SIGHUP.
    Config {
        /// Valid.
        config: Config,
        /// Of the bytes as read.
        digest: Digest,
    },
    /// What the probes found changed.
    Health {
        /// Over all of them.
        verdict: Verdict,
        /// What the unhealthy ones complain of.
        complaints: Vec<String>,
    },
    /// The lease turned out to work, or not to and why.
    Fence {
        /// What is in force.
        fence: Fence,
        /// Why it is no better.
        problem: Option<String>,
    },
    /// The links cannot be watched any more, and why.
    Blind(String),
}

/// Where facts are put.
#[derive(Debug, Clone)]
pub struct Mailbox {
    facts: Sender<Fact>,
    bell: Arc<EventFd>,
}

impl Mailbox {
    /// A mailbox, the facts in it, and the bell that becomes readable with the first.
    ///
    /// # Errors
    /// When the kernel has no descriptor left.
    pub fn new() -> std::io::Result<(Self, Receiver<Fact>, Arc<EventFd>)> {
        let bell = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?);
        let (facts, inbox) = channel();
        Ok((Self { facts, bell: Arc::clone(&bell) }, inbox, bell))
    }

    /// Tells the loop. A loop that is gone needs no facts.
    pub fn tell(&self, fact: Fact) {
        if self.facts.send(fact).is_ok() {
            // Only a full counter is refused, and then the bell is ringing already.
            let _ = self.bell.write(1);
        }
    }
}
