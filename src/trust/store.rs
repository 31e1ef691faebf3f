//! What this host has accepted, on disk: every accepted manifest with its signature, which one is in force, and the
//! high-water mark that outlives them.
//!
//! A manifest lies in `manifests/<generation>-<sha256>/`, complete before it gets that name. `current` is a link that
//! is switched by rename, and the mark is written last: a crash in between leaves a mark that is too low, which the
//! reader makes up for by looking at `current` as well. Nothing is trusted for lying here: the caller verifies the
//! signature again before it reads what was signed.

use super::envelope;
use super::host::{ReadError, bytes, text};
use super::rollback::HighWater;
use crate::durable::{self, DurableError};
use crate::ident::{ClusterId, Digest, Generation};
use crate::paths::Paths;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.yaml";
const SIGNATURE: &str = "manifest.yaml.sig";
const RECORD: &str = "accepted.json";

/// An accepted manifest as it lies on disk: nothing about it is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The manifest.
    pub bytes: Vec<u8>,
    /// Its signatures.
    pub signature: String,
    /// How it came here; for people, nothing depends on it.
    pub record: Option<Record>,
}

/// The high-water mark as it lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct MarkFile {
    cluster_id: ClusterId,
    generation: Generation,
    digest: Digest,
    /// A mark of a program that did not write it was set under the first version of the trust.
    #[serde(default = "first_version")]
    trust_version: u64,
}

fn first_version() -> u64 {
    1
}

/// The high-water mark, and under which version of the trust it was set: a later version may restart it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The highest accepted manifest.
    pub highest: HighWater,
    /// The version of the trust that was in force then.
    pub trust_version: u64,
}

/// One manifest that was accepted at some time.
#[derive(Debug)]
pub struct Accepted {
    /// Its generation.
    pub generation: Generation,
    /// Of the bytes that were accepted.
    pub digest: Digest,
    /// What lies there now; none when it cannot be read or is not what was accepted.
    pub stored: Option<Stored>,
}

/// How a manifest came to be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// Where it was found.
    pub origin: String,
    /// When it was accepted, by this host's clock.
    pub accepted_at: jiff::Timestamp,
}

/// Why the store cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file cannot be read.
    #[error("what this host accepted cannot be read")]
    Read(#[from] ReadError),
    /// The mark is there and says nothing usable. It is never taken for absent.
    #[error("the high-water mark '{}' is damaged; restore it, or remove it together with '{}'", path.display(), manifests.display())]
    Mark {
        /// Which.
        path: PathBuf,
        /// The accepted manifests.
        manifests: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A file cannot be written.
    #[error("the manifest cannot be stored")]
    Write(#[from] DurableError),
    /// The accepted manifests cannot be listed.
    #[error("cannot list '{}'", path.display())]
    List {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A link cannot be switched.
    #[error("cannot switch '{}'", path.display())]
    Switch {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The manifest that `current` points to; `None` before the first was accepted.
///
/// # Errors
/// When something is there and cannot be read.
pub fn current(paths: &Paths) -> Result<Option<Stored>, StoreError> {
    stored(&paths.manifests().join("current"))
}

/// What one directory of the store holds.
fn stored(directory: &Path) -> Result<Option<Stored>, StoreError> {
    let Some(manifest) = bytes(&directory.join(MANIFEST), u64::MAX)? else { return Ok(None) };
    let most = u64::try_from(envelope::MOST_BYTES).unwrap_or(u64::MAX);
    let signature = bytes(&directory.join(SIGNATURE), most)?.unwrap_or_default();
    let record = text(&directory.join(RECORD)).ok().flatten().and_then(|text| serde_json::from_str(&text).ok());
    Ok(Some(Stored { bytes: manifest, signature: String::from_utf8_lossy(&signature).into_owned(), record }))
}

/// The highest accepted generation.
///
/// # Errors
/// When the mark is there and cannot be read.
pub fn high_water(paths: &Paths) -> Result<Option<Mark>, StoreError> {
    let path = paths.ratchet();
    let Some(text) = text(&path)? else { return Ok(None) };
    let file = serde_json::from_str(&text);
    let MarkFile { cluster_id, generation, digest, trust_version } =
        file.map_err(|source| StoreError::Mark { path, manifests: paths.manifests(), source })?;
    Ok(Some(Mark { highest: HighWater { cluster_id, generation, digest }, trust_version }))
}

/// Every manifest that this host ever accepted and still has.
///
/// # Errors
/// When the directory cannot be listed.
pub fn accepted(paths: &Paths) -> Result<Vec<Accepted>, StoreError> {
    let directory = paths.manifests();
    let failed = |source| StoreError::List { path: directory.clone(), source };
    let mut list = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let Some((generation, digest)) = name.to_str().and_then(|name| name.split_once('-')) else { continue };
        let (Ok(generation), Ok(digest)) = (generation.parse().map(Generation), digest.parse::<Digest>()) else {
            continue;
        };
        let stored = stored(&directory.join(&name)).ok().flatten();
        list.push(Accepted { generation, digest, stored: stored.filter(|one| Digest::of(&one.bytes) == digest) });
    }
    Ok(list)
}

/// Keeps an accepted manifest and puts it in force. Doing it again changes nothing.
///
/// # Errors
/// The manifest before it is still in force, or this one is; never neither.
pub fn accept(paths: &Paths, mark: &Mark, stored: &Stored) -> Result<(), StoreError> {
    let HighWater { cluster_id, generation, digest } = mark.highest.clone();
    let name = format!("{generation}-{digest}");
    let directory = paths.manifests().join(&name);
    // The mode that systemd gives it (StateDirectoryMode=).
    durable::directory(&paths.state(), 0o700)?;
    durable::directory(&paths.manifests(), 0o755)?;
    durable::directory(&directory, 0o755)?;
    durable::replace(&directory.join(MANIFEST), &stored.bytes, 0o644, None)?;
    durable::replace(&directory.join(SIGNATURE), stored.signature.as_bytes(), 0o644, None)?;
    if let Some(record) = &stored.record {
        durable::replace(&directory.join(RECORD), serde_json::json!(record).to_string().as_bytes(), 0o644, None)?;
    }
    durable::sync_directory(&paths.manifests())?;
    switch(&paths.manifests().join("current"), Path::new(&name))?;
    durable::sync_directory(&paths.manifests())?;
    let file = MarkFile { cluster_id, generation, digest, trust_version: mark.trust_version };
    durable::replace(&paths.ratchet(), serde_json::json!(file).to_string().as_bytes(), 0o644, None)?;
    Ok(())
}

/// Points `link` to `target` by renaming a new link over it.
fn switch(link: &Path, target: &Path) -> Result<(), StoreError> {
    let new = link.with_extension("new");
    let failed = |source| StoreError::Switch { path: link.to_owned(), source };
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    std::os::unix::fs::symlink(target, &new).map_err(failed)?;
    fs::rename(&new, link).map_err(failed)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    fn mark(generation: u64, content: &str) -> (Mark, Stored) {
        let highest = HighWater {
            cluster_id: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
            generation: Generation(generation),
            digest: Digest::of(content.as_bytes()),
        };
        let accepted_at = jiff::Timestamp::UNIX_EPOCH;
        let record = Some(Record { origin: "a test".into(), accepted_at });
        (Mark { highest, trust_version: 3 }, Stored { bytes: content.into(), signature: "signature".into(), record })
    }

    #[test]
    fn what_was_accepted_is_in_force_and_what_was_before_is_kept() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        assert_eq!(current(&paths).unwrap(), None);
        assert_eq!(high_water(&paths).unwrap(), None);
        let ((one, first), (two, second)) = (mark(1, "one"), mark(2, "two"));
        accept(&paths, &one, &first).unwrap();
        assert_eq!(current(&paths).unwrap(), Some(first.clone()));
        accept(&paths, &two, &second).unwrap();
        accept(&paths, &two, &second).unwrap();
        assert_eq!(current(&paths).unwrap(), Some(second));
        assert_eq!(high_water(&paths).unwrap(), Some(two));
        let kept = paths.manifests().join(format!("1-{}", one.highest.digest)).join(MANIFEST);
        assert_eq!(fs::read(kept).unwrap(), first.bytes);
    }

    #[test]
    fn all_that_was_accepted_is_listed_and_what_was_changed_since_is_not_taken_for_it() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        for (mark, stored) in [mark(1, "one"), mark(2, "two"), mark(30, "thirty")] {
            accept(&paths, &mark, &stored).unwrap();
        }
        let two = paths.manifests().join(format!("2-{}", Digest::of(b"two")));
        fs::write(two.join(MANIFEST), "other").unwrap();
        fs::create_dir(paths.manifests().join("lost+found")).unwrap();
        let mut listed: Vec<(u64, bool)> =
            accepted(&paths).unwrap().iter().map(|one| (one.generation.0, one.stored.is_some())).collect();
        listed.sort_unstable();
        assert_eq!(listed, [(1, true), (2, false), (30, true)]);
    }

    #[test]
    fn a_damaged_mark_is_an_error_and_never_absent() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        fs::create_dir_all(paths.state()).unwrap();
        fs::write(paths.ratchet(), "{}").unwrap();
        assert!(matches!(high_water(&paths), Err(StoreError::Mark { .. })));
        let old = r#"{"clusterId":"3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10","generation":7,"digest":"DIGEST"}"#;
        fs::write(paths.ratchet(), old.replace("DIGEST", &Digest::of(b"seven").to_string())).unwrap();
        assert_eq!(high_water(&paths).unwrap().unwrap().trust_version, 1);
    }
}
