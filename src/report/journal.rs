//! The journal of quorate's units and of the network services that share its link, read by journalctl.
//!
//! The one place of the house that starts another program. The journal's files have no other reader that follows their
//! format and its compressions; libsystemd would be a C library below every verb for the sake of this one.

use super::Entry;
use std::process::Stdio;

/// A day holds a night shift and what led to it.
const SINCE: &str = "-24h";
/// About 1 MB of text.
const MOST_LINES: &str = "8000";

/// What the units said, newest part.
#[expect(
    clippy::disallowed_methods,
    reason = "journalctl is the journal's only complete reader without linking libsystemd"
)]
pub fn journal() -> Entry {
    let output = std::process::Command::new("journalctl")
        .args(["--no-pager", "--quiet", "--output=short-iso-precise", "--since", SINCE, "--lines", MOST_LINES])
        .args(["--unit=quorate-*", "--unit=systemd-networkd.service", "--unit=NetworkManager.service"])
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) if output.status.success() => Entry::new("journal.txt", &output.stdout),
        Ok(output) => Entry::missing("journal.txt", &String::from_utf8_lossy(&output.stderr)),
        Err(error) => Entry::missing("journal.txt", &format!("journalctl: {error}")),
    }
}
