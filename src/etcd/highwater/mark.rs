//! The mark and the log on disk. The mark lies beside the membership marker, on purpose not beside the data.

use super::{Mark, Seen};
use crate::durable::{self, DurableError};
use crate::etcd::LocalStatus;
use crate::etcd::wal::segment;
use crate::etcd::wal::tail::{Log, read};
use crate::paths::Paths;
use std::path::{Path, PathBuf};

/// Where the mark lies.
pub fn path(paths: &Paths) -> PathBuf {
    paths.markers().join("reached.json")
}

/// What the disk says of the past. A mark or a log that cannot be read is not compared: the start of an existing data
/// directory must not hang on a file that is only there to find fault with it.
pub fn look(paths: &Paths) -> Seen {
    Seen {
        mark: std::fs::read(path(paths)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()),
        log: log(&paths.etcd_data().join("member")),
    }
}

/// The end of the log in `member`, a data directory at rest.
pub fn log(member: &Path) -> Option<Log> {
    let directory = member.join("wal");
    let names = std::fs::read_dir(&directory).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let ((_, first), name) = names.filter_map(|name| Some((segment(&name)?, name))).max()?;
    read(&std::fs::read(directory.join(name)).ok()?, first)
}

/// Notes how far the member is. `status` has to be from before something that was acknowledged since, so that what it says
/// is on disk by now.
///
/// # Errors
/// Names the file; the old mark is still in place.
pub fn note(paths: &Paths, status: &LocalStatus) -> Result<(), DurableError> {
    durable::directory(&paths.markers(), 0o700)?;
    let mut text = serde_json::to_vec_pretty(&Mark::of(status)).unwrap_or_default();
    text.push(b'\n');
    durable::replace(&path(paths), &text, 0o600, None)
}
