//! What each certificate says: a table of subject, names, usages and lifetime. Pure; the time is an argument.

use crate::manifest::{Manifest, Master};
use jiff::{Span, Timestamp, ToSpan};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The CA outlives the hardware of the cluster; replacing it means touching every master.
const AUTHORITY_LIFETIME_H: i64 = 10 * 365 * 24;
/// Long enough for a yearly round, short enough that a lost key does not count for ever.
const NODE_LIFETIME_H: i64 = 365 * 24;
/// Certificates are valid from a little before they were made: the clocks of workstation and master differ.
const BACKDATED_H: i64 = 1;

/// Common name of every cluster CA; which cluster it belongs to is told by its fingerprint.
pub const AUTHORITY_NAME: &str = "quorate cluster CA";

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// Common name of the subject.
    pub common_name: String,
    /// DNS subject alternative names.
    pub names: Vec<String>,
    /// IP subject alternative names. etcd checks the address that a peer connects *from* against them.
    pub addresses: Vec<IpAddr>,
    /// What it may be used for.
    pub purpose: Purpose,
    /// First moment of validity.
    pub not_before: Timestamp,
    /// Last moment of validity.
    pub not_after: Timestamp,
}

/// What a certificate may be used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Signing node certificates.
    Authority,
    /// A master: TLS server and client. etcd needs both on peers, and on its client port too, where its own
    /// gateway connects to itself.
    Node,
}

/// The cluster CA.
pub fn authority(now: Timestamp) -> Profile {
    Profile {
        common_name: AUTHORITY_NAME.into(),
        names: Vec::new(),
        addresses: Vec::new(),
        purpose: Purpose::Authority,
        not_before: shifted(now, -BACKDATED_H),
        not_after: shifted(now, AUTHORITY_LIFETIME_H),
    }
}

/// The certificate of `master`: its own name and address, loopback for what runs beside it, and the VIP, so that a
/// client of the VIP may verify whichever master answers.
pub fn node(manifest: &Manifest, master: &Master, now: Timestamp) -> Profile {
    let loopback = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
    let mut addresses = vec![master.address];
    addresses.extend(loopback);
    addresses.extend(&manifest.vip.addresses);
    Profile {
        common_name: master.name.to_string(),
        names: vec![master.name.to_string(), "localhost".into()],
        addresses,
        purpose: Purpose::Node,
        not_before: shifted(now, -BACKDATED_H),
        not_after: shifted(now, NODE_LIFETIME_H),
    }
}

fn shifted(at: Timestamp, hours: i64) -> Timestamp {
    let span: Span = hours.hours();
    // Only at the end of jiff's calendar, in the year 9999, is there nothing later.
    at.checked_add(span).unwrap_or(at)
}
