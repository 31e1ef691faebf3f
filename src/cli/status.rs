//! `quorate status`: how this host and the cluster stand, from the document that reconcile writes.
//!
//! It asks nobody: it works while etcd hangs and while the network is away. How it ends is the verdict, so that
//! monitoring needs no parser (spec/operations.md).

use super::{Exit, watch};
use crate::paths::Paths;
use crate::status::findings::{Account, Verdict, verdict};
use crate::status::human::{self, Paint};
use crate::status::{Status, page};
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use std::fs;
use std::io::{self, ErrorKind, IsTerminal};
use std::path::{Path, PathBuf};

/// Arguments of `quorate status`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct StatusArgs {
    /// Print JSON: the document with its verdict and findings (its form: 'quorate schema status')
    #[arg(long, conflicts_with_all = ["watch", "html"])]
    json: bool,
    /// Stay, redraw every second, and tell what changes
    #[arg(long, conflicts_with = "html")]
    watch: bool,
    /// Write one self-contained page, to be attached to an incident
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Read the status of the system below this directory
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
}

const EXIT_CODES: &str = "Exit codes: 0 fine, 4 converging, 75 waiting, 9 degraded, 3 refused, 8 a step failed, \
                          10 down (no quorum or no active master), 1 not known (no document, or an old one).";

/// Shows the status in the asked-for form.
///
/// # Errors
/// No document, one that cannot be read, or a page that cannot be written.
pub fn run(args: &StatusArgs) -> Result<Exit> {
    let path = Paths::below(&args.root).status();
    if args.watch {
        return watch::run(&path);
    }
    let status = read(&path)?;
    let now = now();
    if args.json {
        println!("{:#}", serde_json::json!(Account::new(&status, now)));
    } else if let Some(file) = &args.html {
        fs::write(file, page::render(&status, now)).with_context(|| format!("cannot write '{}'", file.display()))?;
    } else {
        print!("{}", human::render(&status, now, paint()));
    }
    Ok(exit(verdict(&status, now)))
}

/// The document at `path`.
///
/// # Errors
/// Names the file and what to do about it.
pub fn read(path: &Path) -> Result<Status> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == ErrorKind::NotFound => bail!(
            "there is no '{}': reconcile has not run since boot; see 'systemctl status quorate-firstboot \
             quorate-reconcile.timer', or run 'quorate reconcile'",
            path.display()
        ),
        Err(error) => return Err(error).with_context(|| format!("cannot read '{}'", path.display())),
    };
    serde_json::from_slice(&bytes)
        .with_context(|| format!("'{}' is not a status document; 'quorate reconcile' writes a new one", path.display()))
}

/// How the process ends for a verdict.
fn exit(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Fine => Exit::Fine,
        Verdict::Converging => Exit::Pending,
        Verdict::Waiting => Exit::Waiting,
        Verdict::Degraded => Exit::Degraded,
        Verdict::Refused => Exit::Refused,
        Verdict::Failed => Exit::Failed,
        Verdict::Down => Exit::Down,
        Verdict::Unknown => Exit::Unexpected,
    }
}

/// Colours for a terminal whose owner did not decline them (no-color.org).
pub fn paint() -> Paint {
    let declined = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if io::stdout().is_terminal() && !declined { Paint::Colour } else { Paint::Plain }
}

/// The time at which somebody looks.
#[expect(clippy::disallowed_methods, reason = "the age of a document is told to somebody who looks now")]
pub fn now() -> Timestamp {
    Timestamp::now()
}
