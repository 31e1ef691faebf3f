//! A manifest and its signature file, read from a directory that anybody may have written.
//!
//! Each file is opened once, without following a link and without waiting for a device, and judged by what was opened:
//! a regular file of bounded size that was left alone for a moment and did not change while it was read. Whoever renames
//! files in is never waited for longer than that. A pair that is being replaced is read as it is; the signature tells
//! whether the two belong together.

use crate::manifest::parse;
use crate::trust::envelope;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

/// A file that was not written to for so long is taken for whole.
const STILL: Duration = Duration::from_millis(100);
/// How long is waited for that, and for a signature to follow its manifest.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why a pair cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PairError {
    /// There is a manifest and no signature.
    #[error("'{}' is not signed: there is no '{}'; sign it with 'quorate sign'", manifest.display(), signature.display())]
    Unsigned {
        /// The manifest.
        manifest: PathBuf,
        /// The signature that is missing.
        signature: PathBuf,
    },
    /// A link, directory, device, socket or pipe.
    #[error("'{}' is {kind}; put the file itself there", path.display())]
    NotAFile {
        /// Which.
        path: PathBuf,
        /// What it is.
        kind: &'static str,
    },
    /// Larger than anything sensible.
    #[error("'{}' has {bytes} bytes, at most {most} are read; check that it is the right file", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        most: u64,
    },
    /// Somebody is writing it.
    #[error("'{}' is being written; it is read again at the next run", .0.display())]
    BeingWritten(PathBuf),
    /// The signature file is not text.
    #[error("'{}' is not a signature file; deliver what 'quorate sign' wrote", .0.display())]
    NotText(PathBuf),
    /// It could not be copied to where it is read, for this reason.
    #[error("{0}")]
    NotCollected(String),
    /// It is not there now and is looked for again.
    #[error("{0}")]
    Awaited(String),
    /// It cannot be opened or read.
    #[error("cannot read '{}'", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Reads `manifest` and the signature file beside it; `None` where there is no manifest.
///
/// # Errors
/// When something is there that cannot be used.
pub fn read(manifest: &Path) -> Result<Option<(Vec<u8>, String)>, PairError> {
    let most = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    settle(manifest)?;
    let Some(bytes) = file(manifest, most(parse::MOST_BYTES))? else { return Ok(None) };
    let path = beside(manifest);
    await_signature(manifest, &path);
    settle(&path)?;
    let Some(signature) = file(&path, most(envelope::MOST_BYTES))? else {
        return Err(PairError::Unsigned { manifest: manifest.to_owned(), signature: path });
    };
    let signature = String::from_utf8(signature).map_err(|_| PairError::NotText(path))?;
    Ok(Some((bytes, signature)))
}

/// Waits until nobody has written to `path` for a moment.
///
/// # Errors
/// When somebody does not stop writing.
pub fn settle(path: &Path) -> Result<(), PairError> {
    if lies_still(|| age(path), thread::sleep) { Ok(()) } else { Err(PairError::BeingWritten(path.to_owned())) }
}

/// Whether a file comes to lie still, by how old its content is each time one looks.
fn lies_still(age: impl Fn() -> Option<Duration>, mut pause: impl FnMut(Duration)) -> bool {
    let mut waited = Duration::ZERO;
    while let Some(rest) = age().and_then(|age| STILL.checked_sub(age)).filter(|rest| !rest.is_zero()) {
        if waited >= PATIENCE {
            return false;
        }
        pause(rest);
        waited += rest;
    }
    true
}

/// Waits for the signature of a manifest that was written just now: who writes both writes one of them first.
fn await_signature(manifest: &Path, signature: &Path) {
    while !signature.exists() && age(manifest).is_some_and(|age| age < PATIENCE) {
        thread::sleep(STILL);
    }
}

/// Since when a file was not written to; nothing where there is none, or the clock was set back since.
#[expect(clippy::disallowed_methods, reason = "a driver: it compares the clock with that of the file system")]
fn age(path: &Path) -> Option<Duration> {
    let modified = path.symlink_metadata().ok()?.modified().ok()?;
    SystemTime::now().duration_since(modified).ok()
}

/// The signature file that belongs to `manifest`.
pub(super) fn beside(manifest: &Path) -> PathBuf {
    let mut path = manifest.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// The content of a regular file that nobody is writing; `None` where there is none.
pub(super) fn file(path: &Path, most: u64) -> Result<Option<Vec<u8>>, PairError> {
    let failed = |source| PairError::Io { path: path.to_owned(), source };
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY;
    let mut opened = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(opened) => opened,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(refused(path, error)),
    };
    let before = opened.metadata().map_err(failed)?;
    if let Some(kind) = odd_kind(&before) {
        return Err(PairError::NotAFile { path: path.to_owned(), kind });
    }
    if before.len() > most {
        return Err(PairError::TooLarge { path: path.to_owned(), bytes: before.len(), most });
    }
    let bytes = read_at_most(&mut opened, most).map_err(failed)?;
    let after = opened.metadata().map_err(failed)?;
    let state = |metadata: &Metadata| (metadata.len(), metadata.mtime(), metadata.mtime_nsec());
    if state(&before) != state(&after) || u64::try_from(bytes.len()).ok() != Some(after.len()) {
        return Err(PairError::BeingWritten(path.to_owned()));
    }
    Ok(Some(bytes))
}

fn read_at_most(file: &mut File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Says what an object that could not be opened is: a link and a socket fail to open with codes of their own.
fn refused(path: &Path, error: io::Error) -> PairError {
    match std::fs::symlink_metadata(path).ok().as_ref().and_then(odd_kind) {
        Some(kind) => PairError::NotAFile { path: path.to_owned(), kind },
        None => PairError::Io { path: path.to_owned(), source: error },
    }
}

fn odd_kind(metadata: &Metadata) -> Option<&'static str> {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_file() {
        None
    } else if kind.is_symlink() {
        Some("a symbolic link")
    } else if kind.is_dir() {
        Some("a directory")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        Some("a device")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::fs;

    /// A directory with a manifest and its signature.
    fn drop_directory() -> tempfile::TempDir {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("manifest.yaml"), "manifest").unwrap();
        fs::write(place.path().join("manifest.yaml.sig"), "signature").unwrap();
        place
    }

    fn outcome(place: &tempfile::TempDir) -> String {
        match read(&place.path().join("manifest.yaml")) {
            Ok(found) => format!("{found:?}"),
            Err(error) => error.to_string().replace(&place.path().display().to_string(), "DROP"),
        }
    }

    #[test]
    fn a_pair_is_read_and_nothing_is_not_a_fault() {
        let place = drop_directory();
        assert!(outcome(&place).starts_with("Some("));
        fs::remove_file(place.path().join("manifest.yaml")).unwrap();
        assert_eq!(outcome(&place), "None");
        assert!(read(&place.path().join("no/such/directory/manifest.yaml")).unwrap().is_none());
    }

    /// Looks at a file that has these ages, one after the other, and then the last one for good: the verdict, and the pauses.
    fn look(ages_ms: &[u64]) -> (bool, Vec<u128>) {
        let (looks, mut pauses) = (Cell::new(0), Vec::new());
        let age = || {
            let at = looks.replace(looks.get() + 1).min(ages_ms.len() - 1);
            Some(Duration::from_millis(ages_ms[at]))
        };
        let verdict = lies_still(age, |rest| pauses.push(rest.as_millis()));
        (verdict, pauses)
    }

    #[test]
    fn a_slow_writer_is_waited_for_until_the_file_lies_still() {
        assert_eq!(look(&[100]), (true, vec![]));
        assert_eq!(look(&[0, 20, 70, 100]), (true, vec![100, 80, 30]));
        assert_eq!(look(&[0, 5000]), (true, vec![100]));
        assert!(lies_still(|| None, |_| unreachable!()), "what is not there, or is from the future, is not waited for");
    }

    #[test]
    fn a_writer_who_does_not_come_to_an_end_is_not_waited_for() {
        let (verdict, pauses) = look(&[20]);
        assert!(!verdict);
        assert_eq!(pauses.iter().sum::<u128>(), PATIENCE.as_millis());
    }

    #[test]
    fn a_file_that_was_written_just_now_is_read_when_it_has_come_to_rest() {
        let place = drop_directory();
        let path = place.path().join("manifest.yaml");
        fs::write(&path, "later").unwrap();
        assert_eq!(read(&path).unwrap().unwrap().0, b"later");
        assert!(age(&path).unwrap() >= STILL);
    }

    #[test]
    fn a_signature_that_follows_its_manifest_is_waited_for() {
        let place = drop_directory();
        let signature = place.path().join("manifest.yaml.sig");
        fs::remove_file(&signature).unwrap();
        let writer = thread::spawn(move || {
            thread::sleep(3 * STILL);
            fs::write(signature, "signature").unwrap();
        });
        assert!(outcome(&place).starts_with("Some("));
        writer.join().unwrap();
    }

    #[test]
    fn an_unsigned_manifest_is_told_what_it_lacks() {
        let place = drop_directory();
        fs::remove_file(place.path().join("manifest.yaml.sig")).unwrap();
        assert_eq!(
            outcome(&place),
            "'DROP/manifest.yaml' is not signed: there is no 'DROP/manifest.yaml.sig'; sign it with 'quorate sign'"
        );
    }

    #[test]
    fn only_regular_files_of_sensible_size_are_read() {
        let replace = |make: &dyn Fn(&Path)| {
            let place = drop_directory();
            let path = place.path().join("manifest.yaml");
            fs::remove_file(&path).unwrap();
            make(&path);
            outcome(&place)
        };
        let not_a_file = |kind: &str| format!("'DROP/manifest.yaml' is {kind}; put the file itself there");
        let link = replace(&|path| std::os::unix::fs::symlink("/etc/passwd", path).unwrap());
        assert_eq!(link, not_a_file("a symbolic link"));
        assert_eq!(replace(&|path| fs::create_dir(path).unwrap()), not_a_file("a directory"));
        let mode = nix::sys::stat::Mode::S_IRUSR;
        assert_eq!(replace(&|path| nix::unistd::mkfifo(path, mode).unwrap()), not_a_file("a pipe"));
        let socket = replace(&|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap()));
        assert_eq!(socket, not_a_file("a socket"));
        let large = replace(&|path| File::create(path).unwrap().set_len(10_000_000).unwrap());
        assert_eq!(
            large,
            "'DROP/manifest.yaml' has 10000000 bytes, at most 262144 are read; check that it is the right file"
        );
        // A file that claims to be empty and never ends, as some in /proc and all in /dev do.
        let endless = replace(&|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap());
        assert_eq!(endless, not_a_file("a symbolic link"));
        assert!(matches!(read(Path::new("/dev/zero")), Err(PairError::NotAFile { kind: "a device", .. })));
    }
}
