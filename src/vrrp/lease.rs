//! The thread that extends the kernel lease: nftables set elements over netlink, and nothing else of nftables.
//!
//! A thread of its own, because the kernel applies nftables changes one after the other, and a service proxy may have a long one
//! under way. If that holds an extension up, the address falls silent until it is through: safe, unlike a late advertisement.
//!
//! One transaction adds, deletes and adds again: kernels before 6.12 do not change the timeout of an element that exists,
//! deleting one that has expired would fail the whole transaction, and so it works on all of them in one round trip.

use super::config::Fence;
use super::fact::{Fact, Mailbox};
use super::fence::{Set, TABLE, keys};
use super::netlink::{NetlinkError, messages, open, serialise};
use super::scribe::Pulse;
use super::socket;
use super::time::Time;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::nftables::{
    DataAttribute, ListAttribute, NfTablesMessage, SetElementAttribute, SetElementList, SetElementMessage,
};
use netlink_packet_netfilter::none::ControlMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};
use netlink_sys::{Socket, protocols::NETLINK_NETFILTER};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::time::Duration;

/// NFNL_SUBSYS_NFTABLES (linux/netfilter/nfnetlink.h): which subsystem a batch is for.
const SUBSYSTEM_NFTABLES: u16 = 10;
/// All answers to one transaction.
const PIECE: usize = 64 * 1024;

/// What the loop claims.
#[derive(Debug, Clone)]
pub enum Claim {
    /// These addresses are virtual: fence them.
    Fence(Arc<[IpAddr]>),
    /// An advertisement was sent: these may be answered for until then.
    Hold {
        /// The addresses.
        addresses: Arc<[IpAddr]>,
        /// Until when.
        until: Time,
    },
    /// These are not ours any more.
    Drop(Arc<[IpAddr]>),
}

/// The sets of our table.
#[derive(Debug)]
pub struct Lease {
    socket: Socket,
    sequence: u32,
}

impl Lease {
    /// Opens a socket to the kernel's nftables.
    ///
    /// # Errors
    /// When there is none.
    pub fn open() -> Result<Self, NetlinkError> {
        Ok(Self { socket: open(NETLINK_NETFILTER, 0).map_err(NetlinkError::Open)?, sequence: 0 })
    }

    /// Declares addresses virtual.
    ///
    /// # Errors
    /// When the unit has not loaded the table, or the kernel has no nftables.
    pub fn fence(&mut self, addresses: &[IpAddr]) -> Result<(), NetlinkError> {
        let fenced = entries(addresses.iter().map(|address| (*address, None)));
        self.transaction("fence the VIP", &[(Set::Fenced, Change::Add, &fenced)])
    }

    /// Holds each address for the span given with it, whatever was held before.
    ///
    /// # Errors
    /// When the table is gone.
    pub fn hold(&mut self, spans: &[(IpAddr, Duration)]) -> Result<(), NetlinkError> {
        let held = entries(spans.iter().map(|(address, span)| (*address, Some(*span))));
        let again =
            [(Set::Held, Change::Add, &held), (Set::Held, Change::Delete, &held), (Set::Held, Change::Add, &held)];
        self.transaction("extend the lease of the VIP", &again)
    }

    /// Ends the lease of addresses at once.
    ///
    /// # Errors
    /// When the table is gone.
    pub fn drop(&mut self, addresses: &[IpAddr]) -> Result<(), NetlinkError> {
        let held = entries(addresses.iter().map(|address| (*address, Some(Duration::from_secs(1)))));
        self.transaction(
            "end the lease of the VIP",
            &[(Set::Held, Change::Add, &held), (Set::Held, Change::Delete, &held)],
        )
    }

    /// All of it or nothing.
    fn transaction(&mut self, attempt: &'static str, changes: &[(Set, Change, &Entries)]) -> Result<(), NetlinkError> {
        let begin = self.sequence.wrapping_add(1);
        let mut batch = self.control(ControlMessage::BatchBegin);
        let mut last = begin;
        for (set, change, entries) in changes {
            for of_family in entries.iter().filter(|of_family| !of_family.is_empty()) {
                last = self.next();
                batch.extend(elements(*set, *change, of_family, last));
            }
        }
        if last == begin {
            return Ok(());
        }
        batch.extend(self.control(ControlMessage::BatchEnd));
        self.socket.send(&batch, 0).map_err(NetlinkError::Talk)?;
        self.verdict(attempt, begin, last)
    }

    /// Every message of the batch asks for an answer; the last one's ends the wait, and so does a refused beginning.
    fn verdict(&mut self, attempt: &'static str, begin: u32, last: u32) -> Result<(), NetlinkError> {
        let mut verdict = Ok(());
        let mut piece = Vec::with_capacity(PIECE);
        loop {
            piece.clear();
            self.socket.recv(&mut piece, 0).map_err(NetlinkError::Talk)?;
            for answer in messages::<NetfilterMessage>(&piece) {
                let answer = answer?;
                let NetlinkPayload::Error(error) = answer.payload else { continue };
                let sequence = answer.header.sequence_number;
                if let Some(code) = error.code.filter(|_| sequence >= begin) {
                    let source = io::Error::from_raw_os_error(code.get().saturating_abs());
                    verdict = verdict.and(Err(NetlinkError::Refused { attempt, source }));
                }
                if sequence == last || (sequence == begin && verdict.is_err()) {
                    return verdict;
                }
            }
        }
    }

    fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    fn control(&mut self, message: ControlMessage) -> Vec<u8> {
        let header = NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, SUBSYSTEM_NFTABLES);
        let mut message = NetlinkMessage::from(NetfilterMessage::new(header, message));
        message.header.flags = NLM_F_REQUEST;
        message.header.sequence_number = self.next();
        serialise(message)
    }
}

#[derive(Debug, Clone, Copy)]
enum Change {
    Add,
    Delete,
}

/// Keys with their timeouts, by family: one message has one set.
type Entries = [Vec<(IpAddr, Option<Duration>)>; 2];

fn entries(addresses: impl Iterator<Item = (IpAddr, Option<Duration>)>) -> Entries {
    addresses
        .flat_map(|(address, span)| keys(address).map(move |key| (key, span)))
        .partition::<Vec<_>, _>(|(key, _)| key.is_ipv4())
        .into()
}

fn elements(set: Set, change: Change, entries: &[(IpAddr, Option<Duration>)], sequence: u32) -> Vec<u8> {
    let name = entries.first().map_or("", |(key, _)| set.name(*key));
    let elements = entries.iter().map(|(key, span)| {
        let octets = match key {
            IpAddr::V4(key) => key.octets().to_vec(),
            IpAddr::V6(key) => key.octets().to_vec(),
        };
        let mut element = vec![SetElementAttribute::Key(DataAttribute::Value(octets))];
        if let (Some(span), Change::Add) = (span, change) {
            // Rounded down, and never zero, which would mean for ever.
            let milliseconds = u64::try_from(span.as_millis()).unwrap_or(u64::MAX).max(1);
            element.push(SetElementAttribute::Timeout(milliseconds));
        }
        ListAttribute::Element(element)
    });
    let attributes = vec![
        SetElementList::Table(TABLE.into()),
        SetElementList::Set(name.into()),
        SetElementList::Elements(elements.collect()),
    ];
    let message = SetElementMessage { attributes };
    let (message, flags) = match change {
        Change::Add => (NfTablesMessage::NewSetElement(message), NLM_F_CREATE),
        Change::Delete => (NfTablesMessage::DeleteSetElement(message), 0),
    };
    let header = NetfilterHeader::new(NetfilterProtoFamily::NetDev, 0, 0);
    let mut message = NetlinkMessage::from(NetfilterMessage::new(header, message));
    message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
    message.header.sequence_number = sequence;
    serialise(message)
}

/// Serves claims until their sender is gone. What piled up while the kernel was busy becomes one transaction.
pub fn run(mut lease: Lease, claims: &Receiver<Claim>, mailbox: &Mailbox, pulse: &Pulse, mut known: Fence) {
    while let Ok(first) = claims.recv() {
        let mut hold: BTreeMap<IpAddr, Time> = BTreeMap::new();
        let mut result = Ok(());
        for claim in std::iter::once(first).chain(claims.try_iter()) {
            result = result.and(match claim {
                Claim::Fence(addresses) => lease.fence(&addresses),
                Claim::Hold { addresses, until } => {
                    hold.extend(addresses.iter().map(|address| (*address, until)));
                    Ok(())
                }
                Claim::Drop(addresses) => {
                    hold.retain(|address, _| !addresses.contains(address));
                    lease.drop(&addresses)
                }
            });
        }
        if !hold.is_empty() {
            result = result.and(extend(&mut lease, &hold));
            pulse.lease_extended.fetch_add(u64::from(result.is_ok()), Ordering::Relaxed);
        }
        let (fence, problem) = match result {
            Ok(()) => (Fence::Lease, None),
            Err(error) => (Fence::LifetimeOnly, Some(problem(&error))),
        };
        if fence != known {
            known = fence;
            mailbox.tell(Fact::Fence { fence, problem });
        }
    }
}

fn extend(lease: &mut Lease, hold: &BTreeMap<IpAddr, Time>) -> Result<(), NetlinkError> {
    let now = socket::now().map_err(NetlinkError::Talk)?;
    // A claim that waited longer than it was worth is no claim.
    let spans: Vec<(IpAddr, Duration)> =
        hold.iter().filter(|(_, until)| **until > now).map(|(address, until)| (*address, until.since(now))).collect();
    lease.hold(&spans)
}

/// An error in words for the state document.
pub fn problem(error: &NetlinkError) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    if error.is(libc::ENOENT) {
        return format!("the table '{TABLE}' is not loaded (quorate-vrrpd --fence CONFIG | nft -f -)");
    }
    format!("{error}{cause}")
}
