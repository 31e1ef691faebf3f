//! The marker on disk: one small file, replaced as a whole and synced before anything builds on it.
//!
//! It lies under `Paths::markers`, outside the etcd data directory, so that wiping the data does not wipe the
//! memory of it.

use super::{Held, Marker};
use crate::durable::{self, DurableError};
use crate::paths::Paths;
use std::path::PathBuf;

/// Where the marker lies.
pub fn path(paths: &Paths) -> PathBuf {
    paths.markers().join("member.json")
}

/// Reads the marker. A file that cannot be read or understood is unknown, not nothing.
pub fn read(paths: &Paths) -> Held {
    let path = path(paths);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Held::Nothing,
        Err(error) => return Held::Unknown { why: format!("cannot read '{}': {error}", path.display()) },
    };
    match serde_json::from_slice(&bytes) {
        Ok(marker) => Held::Marker(marker),
        Err(error) => Held::Unknown { why: format!("'{}' is not a marker: {error}", path.display()) },
    }
}

/// Makes `marker` durable.
///
/// # Errors
/// Names the file; the old marker is still in place.
pub fn write(paths: &Paths, marker: &Marker) -> Result<(), DurableError> {
    durable::directory(&paths.markers(), 0o700)?;
    // Strings and integers always serialise; if they did not, the empty file would read back as unknown and stop everything.
    let mut text = serde_json::to_vec_pretty(marker).unwrap_or_default();
    text.push(b'\n');
    durable::replace(&path(paths), &text, 0o600, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_and_a_damaged_one_is_unknown() {
        let place = tempfile::tempdir().unwrap();
        let paths = Paths::below(place.path());
        assert_eq!(read(&paths), Held::Nothing);
        let cluster = "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap();
        let marker = Marker::Formed { cluster, etcd: u64::MAX, member: 3 };
        write(&paths, &marker).unwrap();
        assert_eq!(read(&paths), Held::Marker(marker));
        std::fs::write(path(&paths), "{").unwrap();
        assert!(matches!(read(&paths), Held::Unknown { .. }));
        std::fs::write(path(&paths), "").unwrap();
        assert!(matches!(read(&paths), Held::Unknown { .. }), "a torn write is not an absent marker");
    }
}
