//! Where log events go: the journal with their fields when systemd connected us to it, otherwise stderr.
//!
//! Library code only emits `tracing` events; the two programs call [`start`] once and decide nothing themselves.

use std::error::Error;
use std::io::IsTerminal;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Where log events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// The journal, as structured entries.
    Journal,
    /// stderr of a terminal, a file or a pipe.
    Stderr,
}

/// Connects `tracing` once per process. systemd sets JOURNAL_STREAM for what it connects to the journal; a terminal on
/// stderr means that somebody is looking here all the same.
pub fn start() -> Log {
    let connected = std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal();
    // Without a prefix: `quorate_step` becomes QUORATE_STEP=, which is what the runbook names.
    let journal = connected.then(tracing_journald::layer).and_then(Result::ok);
    let registry = tracing_subscriber::registry().with(LevelFilter::INFO);
    match journal {
        Some(journal) => {
            registry.with(journal.with_field_prefix(None)).init();
            Log::Journal
        }
        None => {
            let plain = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false).without_time();
            registry.with(plain).init();
            Log::Stderr
        }
    }
}

/// An error with its causes on one line: a `Display` never repeats its source, so the whole reads as one sentence.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
