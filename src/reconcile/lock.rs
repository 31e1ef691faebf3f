//! One reconcile at a time: an advisory lock that the kernel drops with its holder, however that one ends.

use nix::fcntl::{Flock, FlockArg};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often a waiting run looks again. flock(2) could block instead, but then nobody could say who is waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another run still has it.
    #[error(
        "another reconcile (process {holder}) has held '{}' for the {} s that this one waited; \
         follow it with 'journalctl -fu quorate-reconcile'", path.display(), waited.as_secs()
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// The process that has it, as it wrote itself down.
        holder: String,
        /// How long this run waited.
        waited: Duration,
    },
    /// The lock file cannot be used.
    #[error("cannot lock '{}'", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
}

/// The lock; free again when dropped, or when the process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held for its Drop")] Flock<File>);

/// Takes the lock at `path`, waiting for its holder up to `patience`. `waiting` hears once who holds it.
///
/// # Errors
/// When the holder keeps it, or the file cannot be opened.
pub async fn take(path: &Path, patience: Duration, mut waiting: impl FnMut(&str)) -> Result<Lock, LockError> {
    let io = |source| LockError::Io { path: path.to_owned(), source };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(io)?;
    let mut waited = Duration::ZERO;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut lock) => {
                write_holder(&mut lock).map_err(io)?;
                return Ok(Lock(lock));
            }
            Err((unlocked, nix::errno::Errno::EWOULDBLOCK)) => {
                file = unlocked;
                let holder = read_holder(&mut file);
                if waited.is_zero() {
                    waiting(&holder);
                }
                if waited >= patience {
                    return Err(LockError::Held { path: path.to_owned(), holder, waited });
                }
            }
            Err((_, errno)) => return Err(io(errno.into())),
        }
        tokio::time::sleep(LOOK_AGAIN).await;
        waited += LOOK_AGAIN;
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.rewind().and_then(|()| file.take(16).read_to_string(&mut text));
    match read {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        // Between its flock and its first write the holder has not said who it is.
        _ => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_run_names_the_first_and_gets_the_lock_after_it() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lock");
        let first = take(&path, Duration::ZERO, |_| {}).await.unwrap();
        let mut heard = Vec::new();
        let refused = take(&path, LOOK_AGAIN, |holder| heard.push(holder.to_owned())).await.unwrap_err();
        let me = std::process::id().to_string();
        assert!(matches!(&refused, LockError::Held { holder, .. } if *holder == me), "{refused}");
        assert_eq!(heard, [me]);
        drop(first);
        take(&path, Duration::ZERO, |_| {}).await.unwrap();
    }
}
