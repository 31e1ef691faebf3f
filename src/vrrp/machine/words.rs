//! The words of the virtual router: its states, what it is told, what it tells, and why it moved.

use crate::vrrp::packet::{Family, Remark, Version};
use crate::vrrp::time::{Interval, Time};
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The three states of RFC 9568 §6.4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Not taking part: the link or the source address is missing.
    Initialize,
    /// Watching the Active.
    Backup,
    /// Holding the addresses.
    Active,
}

/// When a Backup takes over from an Active that works but advertises less than it has itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Preempt {
    /// Not at all, except from an unhealthy one ([`Rules::healthy_from`]). An owner always does (§6.1).
    Never,
    /// At once: Preempt_Mode of RFC 9568 §6.1.
    AtOnce,
    /// After it has been better for so long (F20).
    AfterMs(u32),
}

/// What the machine needs to know of its configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rules {
    /// The version spoken: VRRPv2 has its own skew and stays silent towards a lower priority.
    pub version: Version,
    /// Advertised priority while healthy, 1 to 255.
    pub priority: u8,
    /// Advertised priority while unhealthy.
    pub unhealthy_priority: u8,
    /// An Active that advertises less is unhealthy: a healthy Backup takes over even where preemption is off.
    pub healthy_from: u8,
    /// How often the Active advertises.
    pub interval: Interval,
    /// Whether a working Active is taken over from.
    pub preempt: Preempt,
    /// The family in which two Actives of one priority compare addresses; one, so that both come to one answer.
    pub lead: Family,
    /// How long an installed address stays without being renewed.
    pub lifetime: Duration,
}

/// The source addresses of the interface, by family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sources {
    /// Primary IPv4 address.
    pub v4: Option<Ipv4Addr>,
    /// Link-local IPv6 address.
    pub v6: Option<Ipv6Addr>,
}

impl Sources {
    /// The source for one family.
    pub fn of(&self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::from),
            Family::V6 => self.v6.map(IpAddr::from),
        }
    }
}

/// Whether the router can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Obstacle {
    /// There is no such link.
    LinkMissing,
    /// The link is down or has no carrier.
    LinkDown,
    /// The link has no IPv4 address to send from.
    NoIpv4Source,
    /// The link has no usable link-local IPv6 address to send from; duplicate detection may still be running.
    NoIpv6Source,
}

/// What was heard of another router: an advertisement that passed every check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Heard {
    /// Its sender.
    pub source: IpAddr,
    /// Its priority.
    pub priority: u8,
    /// Its interval.
    pub interval: Interval,
}

/// Why a machine changed its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reason {
    /// The link and its source addresses are there (§6.4.1).
    Started,
    /// We own the addresses (§6.4.1).
    Owner,
    /// Nothing acceptable was heard for a whole Active_Down_Interval (§6.4.2).
    Silence,
    /// The Active resigned and our skew has passed (§6.4.2).
    Resignation,
    /// Another Active has a higher priority (§6.4.3).
    HigherPriority,
    /// Another Active has our priority and a greater address (§6.4.3).
    GreaterAddress,
    /// We woke up so late that a peer may have taken over.
    LateWake,
    /// The kernel kept refusing the addresses (B5).
    VipRefused,
    /// The router cannot take part any more.
    Obstacle(Obstacle),
    /// Told to stop.
    Stopped,
}

impl Reason {
    /// For people, behind "because" or a comma.
    pub fn text(self) -> &'static str {
        match self {
            Reason::Started => "the link and its addresses are there",
            Reason::Owner => "it owns the addresses",
            Reason::Silence => "nothing was heard for a whole down interval",
            Reason::Resignation => "the active master resigned",
            Reason::HigherPriority => "another master has a higher priority",
            Reason::GreaterAddress => "another master has the same priority and a greater address",
            Reason::LateWake => "it woke up so late that another one may have taken over",
            Reason::VipRefused => "the kernel refuses the addresses",
            Reason::Obstacle(Obstacle::LinkMissing) => "the link is missing",
            Reason::Obstacle(Obstacle::LinkDown) => "the link is down",
            Reason::Obstacle(Obstacle::NoIpv4Source) => "the link has no IPv4 address",
            Reason::Obstacle(Obstacle::NoIpv6Source) => "the link has no usable link-local IPv6 address",
            Reason::Stopped => "it was told to stop",
        }
    }
}

/// What is to be done, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Send one advertisement in every family.
    SendAdvert {
        /// 0 to resign.
        priority: u8,
    },
    /// The advertisement just sent allows answering for the addresses until then, and no longer.
    ExtendLease {
        /// Before any peer's Active_Down_Interval can have passed.
        until: Time,
    },
    /// Put the addresses on the link.
    InstallVip,
    /// Extend the lifetime of the addresses on the link.
    RenewVip,
    /// Take the addresses off the link and end the lease.
    RemoveVip,
    /// Gratuitous ARP and unsolicited neighbour advertisements.
    Announce,
    /// The state changed.
    Moved {
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why.
        why: Reason,
    },
    /// Something odd was heard and acted upon.
    Remark(Remark),
}

/// Whether the addresses of a router are other ones now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressesChanged {
    /// They are.
    Yes,
    /// They are as before.
    No,
}
