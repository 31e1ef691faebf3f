//! The guardian: a process of its own that outlives the daemon by the milliseconds it takes to release what the daemon held.
//!
//! The unit's last step does the same, but systemd is not real-time and builds a sandbox for it first, which takes 40 to 100 ms.
//! The guardian is there already, with the daemon's scheduling and its memory locked, and waits for one thing: that the
//! pipe from the daemon closes, however the daemon ended. After an ordered stop it finds nothing to do.
//!
//! It reads the configuration only then: the one that was in force last. It never acts while the daemon lives.

use super::scribe::{Note, Notes};
use super::socket;
use nix::sys::signal::{SigSet, Signal};
use std::io::{self, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

/// A guardian that cannot live would otherwise be started without end.
const PAUSE: Duration = Duration::from_secs(1);

/// Keeps a guardian beside this process, for as long as the process lives. The end of the pipe that it waits for is held by
/// this thread alone, and closed by the kernel when the process ends.
#[expect(
    clippy::disallowed_methods,
    reason = "the one process that has to outlive this one, and it is this very program"
)]
pub fn keep(config: &Path, notes: &Notes) {
    loop {
        let spawned = Command::new("/proc/self/exe").arg("--guard").arg(config).stdin(Stdio::piped()).spawn();
        let ended = spawned.and_then(|mut guardian| {
            // `wait` would close it, and that is the signal.
            let pipe = guardian.stdin.take();
            let status = guardian.wait();
            drop(pipe);
            status
        });
        let how = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        notes.tell(Note::Warning(format!("the guardian is gone ({how}), starting another")));
        sleep(PAUSE);
    }
}

/// Waits, as the guardian, for the daemon to end.
///
/// # Errors
/// When the pipe cannot be read.
pub fn wait_for_the_end() -> io::Result<()> {
    // systemd sends SIGTERM to every process of the unit, also when only the daemon is meant.
    let mut mask = SigSet::empty();
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP].into_iter().for_each(|signal| mask.add(signal));
    mask.thread_block()?;
    // The daemon holds the program's pages for both. Without it a page fault makes the release late, which the unit's last step makes
    // up for.
    let _ = socket::lock_memory();
    // Nobody writes: the first thing read is the end.
    io::stdin().read_to_end(&mut Vec::new()).map(|_| ())
}
