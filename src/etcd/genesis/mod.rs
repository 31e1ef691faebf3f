//! Genesis: the one time a cluster is formed, by unanimity.
//!
//! An empty master that reaches nobody cannot tell first boot from reinstall, and neither can etcd: whoever
//! starts `new` on an empty disk loses acknowledged writes in E2, E2c and E3. So `new` is allowed only after
//! every listed master has attested, in one round, that it holds nothing, and has made a durable note of it.
//!
//! - *Attest*: every master tells what it holds ([`Attestation`]), read from disk at the moment of asking.
//! - *Prepare*: the lowest-named master draws a nonce and asks all to note it ([`Marker::Prepared`]).
//! - *Commit*: once all attest that note, it notes [`Marker::Committed`]. The others read that from its
//!   attestation, so a straggler learns of it whenever it looks; there is no commit message to be lost.
//!
//! The decision is [`machine`]; [`marker`] keeps the notes, [`peer`] carries the conversation over mTLS.
//! Nothing here ever starts etcd, and nothing here treats an unanswered question as an empty master.

pub mod machine;
pub mod marker;
pub mod peer;

use super::DataDirectory;
use super::recovery::Begun;
use crate::ident::{ClusterId, Digest, Generation, IdentError, NodeName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// What makes one genesis differ from every other: 128 random bits, in lower-case hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Nonce([u8; 16]);

impl Nonce {
    /// The nonce of these random bytes.
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Nonce {
    type Err = IdentError;

    fn from_str(text: &str) -> Result<Self, IdentError> {
        let error = || IdentError { kind: "nonce", text: text.to_owned(), rule: "32 lower-case hexadecimal digits" };
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)) {
            return Err(error());
        }
        let mut bytes = [0; 16];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Nonce {
    type Error = IdentError;

    fn try_from(text: String) -> Result<Self, IdentError> {
        text.parse()
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> String {
        nonce.to_string()
    }
}

/// One attempt to form a cluster of exactly these masters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Round {
    /// The manifest's cluster id.
    pub cluster: ClusterId,
    /// Every master and its address.
    pub members: BTreeMap<NodeName, IpAddr>,
    /// Drawn by the master that leads the round.
    pub nonce: Nonce,
}

impl Round {
    /// etcd's initial cluster token. It binds the cluster's etcd id to this round, so that a second genesis
    /// of the same masters has another id: a split is then loud (E10), not silent (E3).
    pub fn token(&self) -> String {
        Digest::of(format!("quorate genesis {} {}", self.cluster, self.nonce).as_bytes()).to_string()
    }

    /// Whether it is a round of this cluster with these masters.
    pub fn fits(&self, cluster: &ClusterId, members: &BTreeMap<NodeName, IpAddr>) -> bool {
        self.cluster == *cluster && self.members == *members
    }
}

/// A directory at one moment. Creating or removing an entry changes the time of modification, and a new directory is
/// another inode: an equal stamp proves that nothing was put into it or taken out since. So an etcd that could not even
/// begin (no program, no user, a port in use) does not count as one whose data was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Stamp {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// Time of modification, seconds.
    pub modified_s: i64,
    /// Time of modification, nanoseconds of the second.
    pub modified_ns: i64,
}

/// What this master durably knows of its own membership. It lives outside the etcd data directory, and each
/// value is written before the deed it allows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "camelCase", deny_unknown_fields)]
pub enum Marker {
    /// It agreed to a round and may still agree to another one.
    Prepared {
        /// The round.
        round: Round,
    },
    /// All masters had agreed: etcd may be started `new` once.
    Committed {
        /// The round.
        round: Round,
    },
    /// etcd was about to be started `new`. Without data this means that the data was lost, unless the directory is
    /// provably untouched since.
    Executed {
        /// The round.
        round: Round,
        /// The empty directory as it was then.
        #[serde(default)]
        untouched: Option<Stamp>,
    },
    /// etcd was about to be started to join an existing cluster.
    Joining {
        /// The manifest's cluster id.
        cluster: ClusterId,
        /// The etcd cluster id.
        etcd: u64,
        /// The member id that was assigned to this master.
        member: u64,
    },
    /// This master was seen as a member of a working cluster.
    Formed {
        /// The manifest's cluster id.
        cluster: ClusterId,
        /// The etcd cluster id.
        etcd: u64,
        /// Its member id.
        member: u64,
    },
    /// It carries the data of a lost cluster over into a new one, by a signed directive.
    Recovering {
        /// The manifest's cluster id.
        cluster: ClusterId,
        /// What it set out to do, and how far it is.
        begun: Begun,
    },
    /// This master's membership has ended; its data directory is dead.
    Removed {
        /// The manifest's cluster id.
        cluster: ClusterId,
        /// The etcd cluster id.
        etcd: u64,
        /// The member id that is gone for ever.
        member: u64,
    },
}

impl Marker {
    /// The manifest cluster it belongs to.
    pub fn cluster(&self) -> &ClusterId {
        match self {
            Marker::Prepared { round } | Marker::Committed { round } | Marker::Executed { round, .. } => &round.cluster,
            Marker::Joining { cluster, .. }
            | Marker::Formed { cluster, .. }
            | Marker::Recovering { cluster, .. }
            | Marker::Removed { cluster, .. } => cluster,
        }
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Marker::Prepared { round } => write!(f, "prepared for genesis {}", round.nonce),
            Marker::Committed { round } => write!(f, "committed to genesis {}", round.nonce),
            Marker::Executed { round, .. } => write!(f, "started in genesis {}", round.nonce),
            Marker::Joining { member, .. } => write!(f, "joining as {member:x}"),
            Marker::Formed { etcd, member, .. } => write!(f, "member {member:x} of cluster {etcd:x}"),
            Marker::Recovering { begun, .. } => write!(f, "recovering from the loss of cluster {:x}", begun.lost),
            Marker::Removed { etcd, member, .. } => write!(f, "no longer member {member:x} of cluster {etcd:x}"),
        }
    }
}

/// What was found where the marker belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Held {
    /// No marker: this master never took part in anything, or was wiped together with its marker.
    Nothing,
    /// This one.
    Marker(Marker),
    /// It could not be read; nothing that depends on it may be decided.
    Unknown {
        /// The error, as text.
        why: String,
    },
}

/// What a master says of itself when another one asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Attestation {
    /// Its name.
    pub node: NodeName,
    /// The manifest's cluster id.
    pub cluster: ClusterId,
    /// The generation it runs.
    pub generation: Generation,
    /// The manifest it runs.
    pub digest: Digest,
    /// What is in its etcd data directory.
    pub data: DataDirectory,
    /// Its marker.
    pub held: Held,
    /// Its clock, in seconds since 1970.
    pub clock_s: i64,
}
