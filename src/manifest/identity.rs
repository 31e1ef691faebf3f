//! Which of the listed masters is this host? Exactly one, or nothing is done.
//!
//! Every property that a master's identity names has to match. A host that matches no entry is not a master of this
//! cluster; one that matches two could act as the wrong one, so both are refused. No property is trusted more than
//! another, and none is guessed: vendors ship repeated SMBIOS serials, and cloned disks repeat machine ids.

use super::{Identity, Manifest, Master};
use crate::ident::{Mac, MachineId, NodeName};
use std::fmt::Write as _;

/// What a host knows of itself. What could not be read is absent and matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// /etc/machine-id.
    pub machine_id: Option<MachineId>,
    /// MAC addresses of its links, permanent and current.
    pub macs: Vec<Mac>,
    /// Static host name.
    pub hostname: Option<String>,
    /// SMBIOS system serial number.
    pub serial: Option<String>,
    /// SMBIOS system UUID.
    pub uuid: Option<String>,
}

/// Why this host is not exactly one of the masters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// It matches none.
    #[error(
        "this host is none of the masters of cluster '{cluster}': it has {facts}; correct 'identity' of the entry \
         that is meant, or drop this manifest elsewhere"
    )]
    None {
        /// Name of the cluster.
        cluster: String,
        /// What the host compared, in words.
        facts: String,
    },
    /// It matches several.
    #[error(
        "this host matches several masters, {}; make their 'identity' differ in a property that this host has",
        names(.0)
    )]
    Several(Vec<NodeName>),
}

/// The one master that this host is.
///
/// # Errors
/// When it matches none or several.
pub fn which<'a>(manifest: &'a Manifest, facts: &HostFacts) -> Result<&'a Master, IdentityError> {
    let matching: Vec<&Master> = manifest.masters.iter().filter(|master| matches(&master.identity, facts)).collect();
    match matching.as_slice() {
        [one] => Ok(one),
        [] => Err(IdentityError::None { cluster: manifest.name.to_string(), facts: in_words(facts) }),
        several => Err(IdentityError::Several(several.iter().map(|master| master.name.clone()).collect())),
    }
}

/// Whether every named property is this host's. An identity without any names nobody.
fn matches(identity: &Identity, facts: &HostFacts) -> bool {
    let Identity { machine_id, mac, hostname, serial, uuid } = identity;
    let same = |wanted: &Option<String>, found: &Option<String>| {
        let found = found.as_ref().map(|found| found.trim());
        wanted.as_ref().map(|wanted| found.is_some_and(|found| wanted.eq_ignore_ascii_case(found)))
    };
    let verdicts = [
        machine_id.as_ref().map(|wanted| facts.machine_id.as_ref() == Some(wanted)),
        mac.map(|wanted| facts.macs.contains(&wanted)),
        same(hostname, &facts.hostname),
        same(serial, &facts.serial),
        same(uuid, &facts.uuid),
    ];
    let mut named = verdicts.into_iter().flatten().peekable();
    named.peek().is_some() && named.all(|same| same)
}

/// Texts that vendors ship in place of a serial number or UUID, and shapes that mean "not set"
/// (rancher/elemental-operator#339; the lists of systemd and cloud-init).
pub(super) fn is_placeholder(text: &str) -> bool {
    const PLACEHOLDERS: [&str; 26] = [
        "00020003-0004-0005-0006-000700080009",
        "01234567-8910-1112-1314-151617181920",
        "012345678",
        "0123456789",
        "03000200-0400-0500-0006-000700080009",
        "12345678-1234-5678-90ab-cddeefaabbcc",
        "123456789",
        "1234567890",
        "chassis serial number",
        "default string",
        "empty",
        "invalid",
        "n/a",
        "none",
        "none specified",
        "not applicable",
        "not available",
        "not settable",
        "not specified",
        "o.e.m.",
        "oem",
        "system serial number",
        "to be filled by o.e.m.",
        "to be filled by oem",
        "unknown",
        "unspecified",
    ];
    let text = text.trim().to_ascii_lowercase();
    let mut digits = text.chars().filter(char::is_ascii_alphanumeric);
    let uniform = digits.next().is_none_or(|first| digits.all(|next| next == first));
    uniform || PLACEHOLDERS.contains(&text.as_str())
}

fn in_words(facts: &HostFacts) -> String {
    let mut words = String::new();
    let mut say = |what: &str, value: Option<&str>| {
        let separator = if words.is_empty() { "" } else { ", " };
        let _ = match value {
            Some(value) => write!(words, "{separator}{what} '{value}'"),
            None => write!(words, "{separator}no {what}"),
        };
    };
    say("machine id", facts.machine_id.as_ref().map(MachineId::as_str));
    say("host name", facts.hostname.as_deref());
    let macs: Vec<String> = facts.macs.iter().map(Mac::to_string).collect();
    say("MAC address", Some(macs.join("', '").as_str()).filter(|macs| !macs.is_empty()));
    if facts.serial.is_some() || facts.uuid.is_some() {
        say("serial", facts.serial.as_deref());
        say("UUID", facts.uuid.as_deref());
    }
    words
}

fn names(names: &[NodeName]) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests;
