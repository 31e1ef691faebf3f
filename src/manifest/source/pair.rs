//! A manifest and its signature file, read from a directory that anybody may have written.
//!
//! Each file is opened once, without following a link and without waiting for a device, and judged by what was opened:
//! a regular file of bounded size that did not change while it was read. A pair that is being replaced is read as it
//! is; the signature tells whether the two belong together.

use crate::manifest::parse;
use crate::trust::envelope;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

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
    #[error("'{}' changed while it was read; it is read again at the next run", .0.display())]
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
    let Some(bytes) = file(manifest, most(parse::MOST_BYTES))? else { return Ok(None) };
    let path = beside(manifest);
    let Some(signature) = file(&path, most(envelope::MOST_BYTES))? else {
        return Err(PairError::Unsigned { manifest: manifest.to_owned(), signature: path });
    };
    let signature = String::from_utf8(signature).map_err(|_| PairError::NotText(path))?;
    Ok(Some((bytes, signature)))
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
