//! Key material on a master: what was dropped, what is installed, and putting a bundle in force.

use super::bundle::{Bundle, Fault, MOST_BYTES};
use super::{Action, CA, CERTIFICATE, Dropped, Installed, KEY, Observed};
use crate::durable::{self, DurableError};
use crate::manifest::source;
use crate::paths::Paths;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Everything [`super::plan`] needs, as of `now`.
pub fn observe(paths: &Paths, now: jiff::Timestamp) -> Observed {
    let place = paths.node_pki();
    let dropped = source::bundles(paths).into_iter().filter_map(|origin| {
        let bundle = read(&origin)?.and_then(|text| Bundle::read(&text));
        Some(Dropped { origin, bundle })
    });
    Observed { at: now, dropped: dropped.collect(), installed: installed(&place), place }
}

/// Puts the files of `action` in place, in order.
///
/// # Errors
/// Names the file that could not be written; the key comes last, so an interrupted installation is planned again.
pub fn execute(action: &Action) -> Result<(), DurableError> {
    let Action::Install { files, .. } = action;
    for file in files {
        if let Some(directory) = file.path.parent() {
            durable::directory(directory, 0o700)?;
        }
        durable::replace(&file.path, &file.content, file.mode, None)?;
    }
    Ok(())
}

fn installed(place: &Path) -> Installed {
    let mut text = Vec::new();
    for name in [KEY, CERTIFICATE, CA] {
        match read(&place.join(name)) {
            Some(Ok(part)) => text.extend(part),
            Some(Err(fault)) => return Installed::Broken(fault),
            // Without all three nothing was ever put in force: the key is written last.
            None => return Installed::Absent,
        }
    }
    match Bundle::read(&text) {
        Ok(bundle) => Installed::Present(bundle),
        Err(fault) => Installed::Broken(fault),
    }
}

/// The bytes of a regular file of sensible size; nothing when there is none.
fn read(path: &Path) -> Option<Result<Vec<u8>, Fault>> {
    let unreadable = |error: std::io::Error| Fault::Unreadable(error.to_string());
    // O_NOFOLLOW and O_NONBLOCK: whoever filled the directory must not make a root process follow a link or hang on a pipe.
    let flags = nix::libc::O_NOFOLLOW | nix::libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => return Some(Err(unreadable(error))),
    };
    Some(match file.metadata() {
        Ok(data) if !data.is_file() => Err(Fault::Unreadable("it is not a regular file".into())),
        Ok(_) => {
            let mut bytes = Vec::new();
            match file.take(MOST_BYTES as u64 + 1).read_to_end(&mut bytes) {
                Ok(_) if bytes.len() > MOST_BYTES => Err(Fault::Form(format!("it is larger than {MOST_BYTES} bytes"))),
                Ok(_) => Ok(bytes),
                Err(error) => Err(unreadable(error)),
            }
        }
        Err(error) => Err(unreadable(error)),
    })
}
