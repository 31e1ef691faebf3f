//! Notices that something was dropped while a run is under way, without reading any of it.

use crate::paths::Paths;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// What tells one version of a file from another without opening it: inode, size, and change time in seconds and ns.
type Stamp = (u64, u64, i64, i64);

/// The drop directories, and what was copied from elsewhere, as they were when last looked at.
#[derive(Debug)]
pub struct Drops {
    directories: Vec<PathBuf>,
    seen: BTreeMap<PathBuf, Stamp>,
}

impl Drops {
    /// Remembers what lies there now.
    pub fn seen(paths: &Paths) -> Self {
        let directories: Vec<PathBuf> = paths.drops().into_iter().chain([paths.collected()]).collect();
        let seen = look(&directories);
        Self { directories, seen }
    }

    /// Whether anything came, went or changed since [`Drops::seen`]. Stays true: the run has to begin again.
    pub fn changed(&self) -> bool {
        look(&self.directories) != self.seen
    }
}

/// A directory or file that cannot be read counts as not there: this only decides when to look again, and the
/// next run reports it.
fn look(directories: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    directories
        .iter()
        .filter_map(|directory| fs::read_dir(directory).ok())
        .flatten()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let data = entry.metadata().ok()?;
            Some((entry.path(), (data.ino(), data.size(), data.ctime(), data.ctime_nsec())))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_of_the_same_size_is_noticed() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        fs::create_dir_all(paths.etc_drop()).unwrap();
        fs::write(paths.etc_drop().join("manifest.yaml"), "one").unwrap();
        let drops = Drops::seen(&paths);
        assert!(!drops.changed());
        fs::write(paths.etc_drop().join("new"), "two").unwrap();
        fs::rename(paths.etc_drop().join("new"), paths.etc_drop().join("manifest.yaml")).unwrap();
        assert!(drops.changed());
    }
}
