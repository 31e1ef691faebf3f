//! `quorate report`: the debug bundle, one tar archive that only its maker can read.

use super::Exit;
use super::status::now;
use crate::paths::Paths;
use crate::report::{Entry, gather, journal, units};
use anyhow::{Context, Result};
use jiff::Timestamp;
use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Arguments of `quorate report`.
#[derive(Debug, clap::Args)]
pub struct ReportArgs {
    /// Where to write the archive; a name with this host and the time by default
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Collect from the system below this directory; its units, journal and plan cannot be asked then
    #[arg(long, value_name = "DIRECTORY", default_value = "/")]
    root: PathBuf,
}

/// Planning asks the other masters; a bundle is made when they do not answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Collects, writes, and says what is inside.
///
/// # Errors
/// When the archive cannot be written. What cannot be collected is said in the archive.
pub fn run(args: &ReportArgs) -> Result<Exit> {
    let now = now();
    let mut entries = vec![Entry::new("version.txt", format!("quorate {}\n", env!("CARGO_PKG_VERSION")).as_bytes())];
    let paths = Paths::below(&args.root);
    entries.extend(gather::files(&paths, &args.root));
    if args.root == Path::new("/") {
        entries.push(journal::journal());
        // It can take long, and on a terminal somebody sits who should know.
        if std::io::stderr().is_terminal() {
            eprintln!("asking systemd, and the other masters for the plan: {} s at most", PATIENCE.as_secs());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
        entries.extend(runtime.block_on(async { [units::units().await, plan(&paths).await] }));
    }
    let output = args.output.clone().unwrap_or_else(|| name(now));
    write(&output, &entries, now).with_context(|| format!("cannot write '{}'", output.display()))?;
    for entry in &entries {
        println!("  {:>8}  {}", entry.content().len(), entry.name());
    }
    println!("{}: keys and passwords are not in it; read it before it leaves this host all the same", output.display());
    Ok(Exit::Fine)
}

async fn plan(paths: &Paths) -> Entry {
    match tokio::time::timeout(PATIENCE, super::plan::as_json(paths)).await {
        Ok(Ok(plan)) => Entry::new("plan.json", format!("{plan:#}\n").as_bytes()),
        Ok(Err(error)) => Entry::missing("plan.json", &format!("{error:#}")),
        Err(_) => Entry::missing("plan.json", &format!("no plan within {} s", PATIENCE.as_secs())),
    }
}

/// `quorate-report-m1-20261122T200000Z.tar` in the directory one stands in.
fn name(now: Timestamp) -> PathBuf {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    let host = host.unwrap_or_else(|| "host".into());
    let time = format!("{now:.0}").replace(['-', ':'], "");
    format!("quorate-report-{host}-{time}.tar").into()
}

fn write(output: &Path, entries: &[Entry], now: Timestamp) -> Result<()> {
    // Never over an existing file: the name may be somebody else's link.
    let file: File = OpenOptions::new().write(true).create_new(true).mode(0o600).open(output)?;
    let mut archive = tar::Builder::new(file);
    for entry in entries {
        let mut header = tar::Header::new_ustar();
        header.set_size(u64::try_from(entry.content().len())?);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(now.as_second()).unwrap_or_default());
        archive.append_data(&mut header, Path::new("quorate-report").join(entry.name()), entry.content().as_bytes())?;
    }
    archive.into_inner()?.sync_all()?;
    Ok(())
}
