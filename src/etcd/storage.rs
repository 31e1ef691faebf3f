//! The disk under etcd's data: whether it is the one that belongs there, whether it has room, and whether a log that
//! etcd does not start from can be read at all.
//!
//! An unmounted data partition looks like an empty directory. Three things tell it from a wiped one: storage that is
//! read-only, storage in memory, and a note of where in its file system the directory lay when this master became a
//! member: a partition of its own has it at `/`, the directory below the mount point does not. (The mount point itself
//! would not do: the sandbox of a unit has other mounts than a shell, with the same files.)

use super::DataDirectory;
use super::wal::damage::{Damage, Examiner, Place};
use crate::durable::{self, DurableError};
use crate::paths::Paths;
use nix::sys::statfs::{self, FsType};
use nix::sys::statvfs::{self, FsFlags, Statvfs};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// A new member writes a log segment of 64 MB at once and takes a snapshot of the others' data (M: megabytes of 2^20
/// bytes). With less it would fail in the middle of joining, as a learner that blocks everybody else.
pub const ROOM_MIB: u64 = 128;

/// What is noted when this master becomes a member.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Note {
    /// The path of the data directory from the root of its file system.
    path_in_file_system: PathBuf,
}

/// Notes where in its file system the data directory lies, for [`proven`] to compare later.
///
/// # Errors
/// The note cannot be written.
pub fn note(paths: &Paths) -> Result<(), DurableError> {
    let Ok(path_in_file_system) = path_in_file_system(&paths.etcd_data()) else { return Ok(()) };
    durable::directory(&paths.markers(), 0o700)?;
    let text = serde_json::to_vec(&Note { path_in_file_system }).unwrap_or_default();
    durable::replace(&place_of_note(paths), &text, 0o600, None)
}

/// Whether the storage under the data directory is writable, lasts, and is the one that was noted.
///
/// # Errors
/// What is not proven, in words.
pub fn proven(paths: &Paths) -> Result<(), String> {
    let data = paths.etcd_data();
    let existing = existing(&data);
    let unknown = |errno: nix::Error| format!("cannot examine the storage of '{}': {errno}", data.display());
    if volume(existing).map_err(unknown)?.flags().contains(FsFlags::ST_RDONLY) {
        return Err(format!("'{}' lies on read-only storage; is the data partition mounted?", data.display()));
    }
    let kind: FsType = statfs::statfs(existing).map_err(unknown)?.filesystem_type();
    if [statfs::TMPFS_MAGIC, RAMFS_MAGIC].contains(&kind) {
        return Err(format!("'{}' lies in memory; is the data partition mounted?", data.display()));
    }
    let noted = match fs::read(place_of_note(paths)) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("cannot read '{}': {error}", place_of_note(paths).display())),
    };
    let Ok(Note { path_in_file_system: noted }) = serde_json::from_slice(&noted) else {
        return Err(format!("'{}' is no note of the data's place", place_of_note(paths).display()));
    };
    let found = path_in_file_system(&data).map_err(|error| format!("cannot read the mount points: {error}"))?;
    if found == noted {
        return Ok(());
    }
    Err(format!(
        "'{}' was '{}' of its file system and is '{}' of another one now; is the data partition mounted? If the data was \
         moved on purpose, remove '{}'",
        data.display(),
        noted.display(),
        found.display(),
        place_of_note(paths).display()
    ))
}

/// Whether a new member has [`ROOM_MIB`] to begin with.
///
/// # Errors
/// How little there is, or that it cannot be told.
pub fn room(paths: &Paths) -> Result<(), String> {
    let data = paths.etcd_data();
    let volume = volume(existing(&data)).map_err(|errno| format!("cannot examine '{}': {errno}", data.display()))?;
    let free_mib = volume.blocks_available() * volume.fragment_size() / (1 << 20);
    if free_mib >= ROOM_MIB {
        return Ok(());
    }
    Err(format!("'{}' has {free_mib} MiB free, and a new member needs {ROOM_MIB}", data.display()))
}

/// The first place of the log that cannot be read. What cannot be examined is not called damaged.
pub fn damage(paths: &Paths, data: &DataDirectory) -> Option<Damage> {
    if *data != DataDirectory::HasWal {
        return None;
    }
    let segments = segments(&paths.etcd_data().join("member/wal")).ok()?;
    let mut examiner = Examiner::default();
    for (at, path) in segments.iter().enumerate() {
        let name = path.file_name()?.to_str()?;
        let place = if at + 1 == segments.len() { Place::Last } else { Place::Inner };
        if let Err(damage) = examiner.segment(name, &fs::read(path).ok()?, place) {
            return Some(damage);
        }
    }
    None
}

/// The segments of a log, oldest first.
fn segments(wal: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = fs::read_dir(wal)?.map(|file| Ok(file?.path())).collect::<io::Result<Vec<_>>>()?;
    found.retain(|path| path.extension().is_some_and(|kind| kind == "wal"));
    found.sort();
    Ok(found)
}

/// Where `path` lies, or would lie once it is created, from the root of its file system.
fn path_in_file_system(path: &Path) -> io::Result<PathBuf> {
    let existing = existing(path);
    let missing = path.strip_prefix(existing).unwrap_or(Path::new(""));
    // An empty path appended would leave a slash at the end, which compares equal but reads badly.
    let path: PathBuf = existing.canonicalize()?.components().chain(missing.components()).collect();
    // Mounts belong to a thread, not to its process.
    locate(&path, &fs::read_to_string("/proc/thread-self/mountinfo")?)
        .ok_or_else(|| io::Error::from(ErrorKind::NotFound))
}

/// By proc_pid_mountinfo(5): the fourth field is the mounted directory in its file system, the fifth where it is
/// mounted, both with blanks as octal numbers. Of two mounts on one place the later one is seen.
fn locate(path: &Path, mountinfo: &str) -> Option<PathBuf> {
    let field = |text: &str| PathBuf::from(text.replace("\\040", " "));
    let mounts = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(3);
        Some((field(fields.next()?), field(fields.next()?)))
    });
    let (root, point) =
        mounts.filter(|(_, point)| path.starts_with(point)).max_by_key(|(_, point)| point.components().count())?;
    Some(root.join(path.strip_prefix(point).ok()?))
}

fn place_of_note(paths: &Paths) -> PathBuf {
    paths.markers().join("storage.json")
}

fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"))
}

fn volume(path: &Path) -> Result<Statvfs, nix::Error> {
    statvfs::statvfs(path)
}

/// linux/magic.h; nix names only tmpfs.
const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_lies_where_its_mount_says_whatever_the_sandbox_binds() {
        let shell = "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /var rw - ext4 /dev/b rw";
        let unit = "2 1 8:2 / /var ro - ext4 /dev/b rw\n3 2 8:2 /lib/etcd /var/lib/etcd rw - ext4 /dev/b rw";
        let partition = "2 1 8:2 / /var rw - ext4 /dev/b rw\n3 2 8:3 / /var/lib/etcd rw - ext4 /dev/c rw";
        let data = Path::new("/var/lib/etcd");
        assert_eq!(locate(data, shell).unwrap(), Path::new("/lib/etcd"));
        assert_eq!(locate(data, unit).unwrap(), Path::new("/lib/etcd"));
        assert_eq!(locate(data, partition).unwrap(), Path::new("/"));
        assert_eq!(locate(data, ""), None);
    }

    #[test]
    fn data_that_lay_on_a_partition_of_its_own_is_not_looked_for_elsewhere() {
        // Not in /tmp, which may be in memory.
        let place = tempfile::tempdir_in("target").unwrap();
        let paths = Paths::below(place.path());
        assert_eq!(proven(&paths), Ok(()), "a host that was never a member has nothing to compare");
        note(&paths).unwrap();
        assert_eq!(proven(&paths), Ok(()));
        fs::create_dir_all(paths.etcd_data()).unwrap();
        assert_eq!(proven(&paths), Ok(()), "it was noted before there was one");
        let elsewhere = Note { path_in_file_system: "/".into() };
        fs::write(place_of_note(&paths), serde_json::to_vec(&elsewhere).unwrap()).unwrap();
        assert!(proven(&paths).unwrap_err().contains("of another one now"));
        fs::write(place_of_note(&paths), "{").unwrap();
        assert!(proven(&paths).is_err(), "a note that cannot be read proves nothing");
    }
}
