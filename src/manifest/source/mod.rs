//! Where manifests come from. All sources are equal in trust: it is the signature that counts.
//!
//! A source either has nothing (then it is not in the list), has a [`Candidate`], or has something that cannot be
//! used, with the reason. Absent and broken are different things: a vanished source is not an empty manifest, and a
//! broken one is reported while the manifest in force stays in force. Everything read here is hostile until it is
//! verified: sizes are bounded before reading, links and device files are not followed or opened.

pub mod cmdline;
pub mod collect;
pub mod collected;
pub mod fetch;
pub mod pair;
pub mod tls;
pub mod volume;

use super::DROPPED_BUNDLE;
use crate::paths::Paths;
use collected::{Lack, Slot};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// The system credential that carries a manifest; its signatures are `quorate.manifest.sig`.
const CREDENTIAL: &str = "quorate.manifest";

/// The system credential that carries a node bundle.
const BUNDLE_CREDENTIAL: &str = "quorate.node";

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
    /// A volume, copied.
    Volume {
        /// Its label below `/dev/disk/by-label`, in words.
        found: String,
        /// The copy.
        copy: PathBuf,
    },
    /// A system credential: SMBIOS, fw_cfg, the boot partition, the container manager.
    Credential(PathBuf),
    /// What the kernel command line names, copied.
    CommandLine {
        /// The URL or path, in words.
        found: String,
        /// The copy.
        copy: PathBuf,
    },
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
            Origin::Volume { copy, .. } | Origin::CommandLine { copy, .. } => copy,
        }
    }

    fn copied(copy: &collected::Copy, name: &str) -> Self {
        let (found, at) = (copy.origin.clone(), copy.directory.join(name));
        match copy.slot {
            Slot::Volume(..) => Origin::Volume { found, copy: at },
            Slot::CommandLine => Origin::CommandLine { found, copy: at },
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Accepted(path) | Origin::Drop(path) | Origin::Image(path) | Origin::Named(path) => {
                path.display().fmt(f)
            }
            Origin::Volume { found, .. } | Origin::CommandLine { found, .. } => f.write_str(found),
            // Each unit finds it in another directory.
            Origin::Credential(path) => {
                write!(f, "system credential {}", path.file_name().unwrap_or_default().display())
            }
        }
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
    let (copies, complaints) = collected::look(paths);
    let drops = paths.drops().map(|directory| Origin::Drop(directory.join(DROPPED_MANIFEST)));
    let copied = |volumes: bool| {
        let of_kind = copies.iter().filter(move |copy| matches!(copy.slot, Slot::Volume(..)) == volumes);
        of_kind.map(|copy| Origin::copied(copy, DROPPED_MANIFEST))
    };
    let credential = Origin::Credential(credentials(paths).join(CREDENTIAL));
    let image = Origin::Image(paths.baked_manifest());
    let origins = drops.into_iter().chain(copied(true)).chain([credential]).chain(copied(false)).chain([image]);
    let (candidates, mut broken) = read_all(origins);
    broken.extend(complaints.into_iter().map(|complaint| {
        let (found, copy) = (complaint.origin, paths.collected());
        let origin = match complaint.slot {
            Slot::Volume(..) => Origin::Volume { found, copy },
            Slot::CommandLine => Origin::CommandLine { found, copy },
        };
        let error = match complaint.lack {
            Lack::Refused => pair::PairError::NotCollected(complaint.why),
            Lack::Awaited => pair::PairError::Awaited(complaint.why),
        };
        Broken { origin, error }
    }));
    (candidates, broken)
}

/// Looks for trust files, in the drop directories and in what was copied from elsewhere.
pub fn discover_trust(paths: &Paths) -> (Vec<Candidate>, Vec<Broken>) {
    let (copies, _) = collected::look(paths);
    let drops = paths.drops().map(|directory| Origin::Drop(directory.join(DROPPED_TRUST)));
    read_all(drops.into_iter().chain(copies.iter().map(|copy| Origin::copied(copy, DROPPED_TRUST))))
}

/// Where a node bundle may lie, in the order of precedence.
pub fn bundles(paths: &Paths) -> Vec<PathBuf> {
    let (copies, _) = collected::look(paths);
    let drops = paths.drops().map(|directory| directory.join(DROPPED_BUNDLE));
    let copied = copies.into_iter().map(|copy| copy.directory.join(DROPPED_BUNDLE));
    drops.into_iter().chain(copied).chain([credentials(paths).join(BUNDLE_CREDENTIAL)]).collect()
}

/// Where the system credentials lie: a sandboxed unit sees only those that it imports, in a directory of its own.
fn credentials(paths: &Paths) -> PathBuf {
    std::env::var_os("CREDENTIALS_DIRECTORY").map_or_else(|| paths.system_credentials(), PathBuf::from)
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
