//! Writing files so that a crash leaves the old bytes or the new ones, never a mixture.
//!
//! Drivers use this for everything that lands on the host: accepted manifests, markers, rendered
//! configuration. It decides nothing.

use crate::file::ObservedFile;
use crate::ident::Digest;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// A file operation that failed, with the file.
#[derive(Debug, thiserror::Error)]
#[error("cannot {attempt} '{}'", path.display())]
pub struct DurableError {
    attempt: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

/// The error of an `attempt` at `path`, for who does more to files than this module.
pub fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DurableError + use<> {
    let path = path.to_owned();
    move |source| DurableError { attempt, path, source }
}

/// Replaces `path` as a whole: temporary file in the same directory, fsync, mode, owner, rename, fsync of the directory.
///
/// # Errors
/// Names the operation and the file; the old content is still in place.
pub fn replace(path: &Path, content: &[u8], mode: u32, owner: Option<(u32, u32)>) -> Result<(), DurableError> {
    // A bare file name lies in the current directory.
    let directory = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => Path::new("/"),
    };
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let new = directory.join(name);
    // A leftover of a killed run may have another mode or owner; start from nothing.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &new)(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new).map_err(failed("create", &new))?;
    file.write_all(content).map_err(failed("write", &new))?;
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::fchown(&file, Some(uid), Some(gid)).map_err(failed("change the owner of", &new))?;
    }
    // After the owner: chown clears bits, and the file must never be readable by the wrong user in between.
    file.set_permissions(Permissions::from_mode(mode)).map_err(failed("set the mode of", &new))?;
    file.sync_all().map_err(failed("sync", &new))?;
    fs::rename(&new, path).map_err(failed("rename into place", path))?;
    sync_directory(directory)
}

/// What lies at `path`, for comparison with a rendered file.
pub fn observe(path: &Path) -> ObservedFile {
    let read = || -> io::Result<ObservedFile> {
        let mode = fs::metadata(path)?.permissions().mode() & 0o7777;
        Ok(ObservedFile::Present { digest: Digest::of(&fs::read(path)?), mode })
    };
    match read() {
        Ok(observed) => observed,
        Err(error) if error.kind() == io::ErrorKind::NotFound => ObservedFile::Absent,
        Err(error) => ObservedFile::Unknown { why: format!("cannot read '{}': {error}", path.display()) },
    }
}

/// Makes a rename or removal inside `directory` durable.
///
/// # Errors
/// Names the directory.
pub fn sync_directory(directory: &Path) -> Result<(), DurableError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(failed("sync", directory))
}

/// Creates `directory` and its parents with `mode`; an existing directory gets the mode.
///
/// # Errors
/// Names the directory.
pub fn directory(directory: &Path, mode: u32) -> Result<(), DurableError> {
    fs::create_dir_all(directory).map_err(failed("create", directory))?;
    fs::set_permissions(directory, Permissions::from_mode(mode)).map_err(failed("set the mode of", directory))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::disallowed_methods)]
mod tests {
    use super::*;

    #[test]
    fn replace_leaves_exactly_one_file_with_the_mode() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("marker");
        std::fs::write(place.path().join(".marker.new"), "left by a killed run").unwrap();
        replace(&path, b"one", 0o600, None).unwrap();
        replace(&path, b"two", 0o640, None).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn the_error_names_the_file() {
        let error = replace(Path::new("/nonexistent/marker"), b"", 0o600, None).unwrap_err();
        assert_eq!(error.to_string(), "cannot create '/nonexistent/.marker.new'");
    }

    #[test]
    fn an_observed_file_is_told_by_its_bytes_and_mode() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("file");
        assert_eq!(observe(&path), ObservedFile::Absent);
        replace(&path, b"text", 0o640, None).unwrap();
        assert_eq!(observe(&path), ObservedFile::Present { digest: Digest::of(b"text"), mode: 0o640 });
    }
}
