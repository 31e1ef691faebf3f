//! Which of the listed masters is this host? Exactly one, or nothing is done.
//!
//! Every property that a master's identity names has to match. A host that matches no entry is not a master of this
//! cluster; one that matches two could act as the wrong one, so both are refused. No property is trusted more than
//! another, and none is guessed: vendors ship repeated SMBIOS serials, and cloned disks repeat machine ids.
//!
//! A property that cannot be read is neither the same nor another. As long as an entry depends on it nothing is decided:
//! a former master that took itself for none would leave the cluster.

use super::{Identity, Manifest, Master};
use crate::ident::{Mac, MachineId, NodeName};
use std::collections::BTreeMap;

/// Something that a host knows of itself, or does not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fact<T> {
    /// It has none.
    #[default]
    Absent,
    /// As read.
    Known(T),
    /// It cannot be read.
    Unknown {
        /// Why.
        why: String,
    },
}

impl<T> Fact<T> {
    /// Puts what is known into another form.
    pub fn and_then<U>(self, form: impl FnOnce(T) -> Fact<U>) -> Fact<U> {
        match self {
            Self::Absent => Fact::Absent,
            Self::Known(value) => form(value),
            Self::Unknown { why } => Fact::Unknown { why },
        }
    }
}

/// What a host knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// /etc/machine-id.
    pub machine_id: Fact<MachineId>,
    /// MAC addresses of its links, permanent and current.
    pub macs: Fact<Vec<Mac>>,
    /// Static host name.
    pub hostname: Fact<String>,
    /// SMBIOS system serial number.
    pub serial: Fact<String>,
    /// SMBIOS system UUID.
    pub uuid: Fact<String>,
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
        names(.0, "and")
    )]
    Several(Vec<NodeName>),
    /// It could be any of these, or none.
    #[error(
        "whether this host is {} of cluster '{cluster}' cannot be told: {}; make that readable, or let 'identity' name \
         something else",
        names(masters, "or"),
        unread.iter().map(|(what, why)| format!("its {what} cannot be read ({why})")).collect::<Vec<_>>().join(", ")
    )]
    Unknown {
        /// Name of the cluster.
        cluster: String,
        /// The entries in question.
        masters: Vec<NodeName>,
        /// What they depend on, and why it cannot be read.
        unread: BTreeMap<&'static str, String>,
    },
}

/// The one master that this host is.
///
/// # Errors
/// When it matches none or several, or what an entry depends on cannot be read.
pub fn which<'a>(manifest: &'a Manifest, facts: &HostFacts) -> Result<&'a Master, IdentityError> {
    let (mut matching, mut open, mut unread) = (Vec::new(), Vec::new(), BTreeMap::new());
    for master in &manifest.masters {
        match compare(&master.identity, facts) {
            Compared::Same => matching.push(master),
            Compared::Other => {}
            Compared::Unknown(properties) => {
                open.push(master.name.clone());
                unread.extend(properties);
            }
        }
    }
    let cluster = || manifest.name.to_string();
    match (matching.as_slice(), open.as_slice()) {
        ([one], []) => Ok(one),
        ([], []) => Err(IdentityError::None { cluster: cluster(), facts: in_words(facts) }),
        ([] | [_], _) => Err(IdentityError::Unknown { cluster: cluster(), masters: open, unread }),
        (several, _) => Err(IdentityError::Several(several.iter().map(|master| master.name.clone()).collect())),
    }
}

/// How an identity, or one property of it, compares with what a host has.
enum Compared {
    Same,
    Other,
    /// It depends on these properties, each with why it cannot be read.
    Unknown(BTreeMap<&'static str, String>),
}

/// Every named property has to be this host's; one that differs settles it. An identity without any names nobody.
fn compare(identity: &Identity, facts: &HostFacts) -> Compared {
    let Identity { machine_id, mac, hostname, serial, uuid } = identity;
    let same = |wanted: &String, found: &String| wanted.eq_ignore_ascii_case(found.trim());
    let verdicts = [
        property("machine id", machine_id.as_ref(), &facts.machine_id, |wanted, found| wanted == found),
        property("MAC addresses", mac.as_ref(), &facts.macs, |wanted, found| found.contains(wanted)),
        property("host name", hostname.as_ref(), &facts.hostname, same),
        property("serial", serial.as_ref(), &facts.serial, same),
        property("UUID", uuid.as_ref(), &facts.uuid, same),
    ];
    let mut named = verdicts.into_iter().flatten().peekable();
    if named.peek().is_none() {
        return Compared::Other;
    }
    named.fold(Compared::Same, |so_far, next| match (so_far, next) {
        (Compared::Other, _) | (_, Compared::Other) => Compared::Other,
        (Compared::Unknown(mut one), Compared::Unknown(other)) => {
            one.extend(other);
            Compared::Unknown(one)
        }
        (Compared::Same, verdict) | (verdict, Compared::Same) => verdict,
    })
}

/// How one property compares, when the identity names it.
fn property<W, F>(
    what: &'static str,
    wanted: Option<&W>,
    found: &Fact<F>,
    same: impl FnOnce(&W, &F) -> bool,
) -> Option<Compared> {
    wanted.map(|wanted| match found {
        Fact::Known(found) if same(wanted, found) => Compared::Same,
        Fact::Known(_) | Fact::Absent => Compared::Other,
        Fact::Unknown { why } => Compared::Unknown(BTreeMap::from([(what, why.clone())])),
    })
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
    let macs = |macs: &Vec<Mac>| match macs.as_slice() {
        [] => Fact::Absent,
        macs => Fact::Known(macs.iter().map(Mac::to_string).collect::<Vec<_>>().join("', '")),
    };
    let mut words = vec![
        in_word("machine id", &facts.machine_id.clone().and_then(|id| Fact::Known(id.as_str().to_owned()))),
        in_word("host name", &facts.hostname),
        in_word("MAC address", &facts.macs.clone().and_then(|found| macs(&found))),
    ];
    if [&facts.serial, &facts.uuid].iter().any(|fact| **fact != Fact::Absent) {
        words.extend([in_word("serial", &facts.serial), in_word("UUID", &facts.uuid)]);
    }
    words.join(", ")
}

fn in_word(what: &str, fact: &Fact<String>) -> String {
    match fact {
        Fact::Known(value) => format!("{what} '{value}'"),
        Fact::Absent => format!("no {what}"),
        Fact::Unknown { .. } => format!("a {what} that cannot be read"),
    }
}

fn names(names: &[NodeName], joined_by: &str) -> String {
    names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(&format!(" {joined_by} "))
}

#[cfg(test)]
mod tests;
