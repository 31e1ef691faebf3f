//! The cluster's certificates: one CA, and one certificate per master for all of its roles.
//!
//! [`profile`] is the table of what a certificate says, [`issue`] makes it (on the administrator's workstation, in the
//! directory that [`workshop`] keeps), [`bundle`] is the form in which it reaches a master, and on the master [`plan`]
//! decides whether a dropped bundle is installed. The CA's private key never comes near a master.

pub mod bundle;
pub mod host;
pub mod issue;
pub mod plan;
pub mod profile;
pub mod workshop;

use crate::file::RenderedFile;
use crate::ident::{Digest, NodeName};
use crate::manifest::{Manifest, Master};
use bundle::{Bundle, Fault};
use serde::{Serialize, Serializer};
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

/// The installed private key, below `Paths::node_pki`.
pub const KEY: &str = "node.key";
/// The installed certificate.
pub const CERTIFICATE: &str = "node.crt";
/// The installed cluster CA.
pub const CA: &str = "ca.crt";

/// What the manifest asks of this master's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// Whose it has to be.
    pub me: NodeName,
    /// The address that peers connect to and from.
    pub address: IpAddr,
    /// The cluster CA, when the manifest pins it.
    pub ca: Option<Digest>,
}

impl Desired {
    /// What `manifest` asks of `me`.
    pub fn new(manifest: &Manifest, me: &Master) -> Self {
        Self { me: me.name.clone(), address: me.address, ca: manifest.ca }
    }
}

/// What was found on the host.
#[derive(Debug, Clone)]
pub struct Observed {
    /// When it was observed; validity is judged at this time.
    pub at: jiff::Timestamp,
    /// Bundles in the drop directories, highest precedence first.
    pub dropped: Vec<Dropped>,
    /// What is installed.
    pub installed: Installed,
    /// Where it is installed.
    pub place: PathBuf,
}

/// A bundle in a drop directory.
#[derive(Debug, Clone)]
pub struct Dropped {
    /// Its path.
    pub origin: PathBuf,
    /// The bundle, or why it is none.
    pub bundle: Result<Bundle, Fault>,
}

/// The key and certificates in force.
#[derive(Debug, Clone)]
pub enum Installed {
    /// None yet.
    Absent,
    /// These.
    Present(Bundle),
    /// Files are there that cannot be used.
    Broken(Fault),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Put a bundle in force. The key is written last: what is complete is told by the key being there.
    Install {
        /// Where it was dropped.
        origin: PathBuf,
        /// The files, in the order of writing.
        files: Vec<RenderedFile>,
    },
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Install { origin, .. } => write!(f, "install the key and certificates of '{}'", origin.display()),
        }
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Action::Install { origin, files } = self;
        let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
        serde_json::json!({ "do": "install", "origin": origin, "files": paths }).serialize(serializer)
    }
}
