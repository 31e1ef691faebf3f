//! Where manifests come from. All sources are equal in trust: it is the signature that counts.
//!
//! A source either has nothing (then it is not in the list), has a [`Candidate`], or has something that cannot be
//! used, with the reason. Absent and broken are different things: a vanished source is not an empty manifest, and a
//! broken one is reported while the manifest in force stays in force. Everything read here is hostile until it is
//! verified: sizes are bounded before reading, links and device files are not followed or opened.

pub mod pair;

use crate::paths::Paths;
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// The system credential that carries a manifest; its signatures are `quorate.manifest.sig`.
const CREDENTIAL: &str = "quorate.manifest";

/// The manifest in a drop directory; its signatures lie beside it.
pub const DROPPED_MANIFEST: &str = "manifest.yaml";

/// A trust file in a drop directory; its signatures lie beside it.
pub const DROPPED_TRUST: &str = "trust.yaml";

/// Where something was found, in descending precedence. Precedence only breaks ties between equal manifests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Origin {
    /// What this host accepted earlier.
    Accepted(PathBuf),
    /// A drop directory.
    Drop(PathBuf),
    /// A system credential: SMBIOS, fw_cfg, the boot partition, the container manager.
    Credential(PathBuf),
    /// The image.
    Image(PathBuf),
    /// The command line.
    Named(PathBuf),
}

impl Origin {
    /// The manifest's path.
    pub fn path(&self) -> &Path {
        match self {
            Origin::Accepted(path)
            | Origin::Drop(path)
            | Origin::Credential(path)
            | Origin::Image(path)
            | Origin::Named(path) => path,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().display().fmt(f)
    }
}

/// Bytes and their signatures, as found: nothing about them is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Where.
    pub origin: Origin,
    /// The manifest.
    pub bytes: Vec<u8>,
    /// Its signature file.
    pub signature: String,
}

/// Something that lies where a manifest belongs and cannot be used.
#[derive(Debug)]
pub struct Broken {
    /// Where.
    pub origin: Origin,
    /// Why.
    pub error: pair::PairError,
}

/// Where to look for a manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where<'a> {
    /// In every source of this host.
    Host,
    /// In this file alone, which somebody named.
    Named(&'a Path),
    /// Nowhere: only what was accepted earlier counts.
    Nowhere,
}

/// Looks there, in the order of precedence.
pub fn look(paths: &Paths, place: Where<'_>) -> (Vec<Candidate>, Vec<Broken>) {
    match place {
        Where::Host => discover(paths),
        Where::Named(file) => read_all([Origin::Named(file.to_owned())]),
        Where::Nowhere => (Vec::new(), Vec::new()),
    }
}

/// Looks into every source, in the order of precedence.
pub fn discover(paths: &Paths) -> (Vec<Candidate>, Vec<Broken>) {
    let drops = paths.drops().map(|directory| Origin::Drop(directory.join(DROPPED_MANIFEST)));
    let credential = Origin::Credential(paths.system_credentials().join(CREDENTIAL));
    let origins = drops.into_iter().chain([credential, Origin::Image(paths.baked_manifest())]);
    read_all(origins)
}

/// Looks for trust files, in the drop directories only.
pub fn discover_trust(paths: &Paths) -> (Vec<Candidate>, Vec<Broken>) {
    read_all(paths.drops().map(|directory| Origin::Drop(directory.join(DROPPED_TRUST))))
}

fn read_all(origins: impl IntoIterator<Item = Origin>) -> (Vec<Candidate>, Vec<Broken>) {
    let (mut candidates, mut broken) = (Vec::new(), Vec::new());
    for origin in origins {
        match pair::read(origin.path()) {
            Ok(None) => {}
            Ok(Some((bytes, signature))) => candidates.push(Candidate { origin, bytes, signature }),
            Err(error) => broken.push(Broken { origin, error }),
        }
    }
    (candidates, broken)
}
