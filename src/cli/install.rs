//! `quorate install`: the image build step.

use super::{Exit, completions, man};
use crate::image::install::{InstallError, RunningSystem, Tree};
use crate::image::{Content, Entry, Payload, Standing, layout};
use anyhow::Context as _;
use clap_complete::Shell;
use std::path::{Path, PathBuf};

/// Puts quorate into an operating system tree: programs, units, presets, trust, manuals.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// The root directory of the tree.
    #[arg(long, value_name = "ROOT")]
    root: PathBuf,
    /// The allowed_signers file whose keys may sign manifests for this image.
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The VRRP daemon to place; without it, the one beside this program.
    #[arg(long, value_name = "PATH")]
    vrrpd: Option<PathBuf>,
    /// Only compare: exit 0 when the tree is as it should be, 4 when it is not.
    #[arg(long)]
    check: bool,
    /// Allow ROOT to be the running system, as in a container build.
    #[arg(long)]
    yes: bool,
    /// Report as JSON.
    #[arg(long)]
    json: bool,
}

/// What was found, and done, about one path.
#[derive(Debug, serde::Serialize)]
struct Report {
    path: PathBuf,
    found: Standing,
    placed: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the tree is refused or cannot be written; what was placed before stays and the next run goes on from there.
pub fn run(args: &InstallArgs) -> anyhow::Result<Exit> {
    let program = std::env::current_exe().context("cannot find the running program")?;
    let vrrpd = args.vrrpd.clone().unwrap_or_else(|| program.with_file_name("quorate-vrrpd"));
    let running = if args.yes { RunningSystem::Allowed } else { RunningSystem::Refused };
    let tree = Tree::open(&args.root, running).map_err(classed)?;
    let payload = Payload::read(&program, &vrrpd, &args.trust).map_err(classed)?;
    let mut reports = Vec::new();
    let manuals = manuals()?;
    let manuals = manuals
        .iter()
        .map(|(path, bytes)| Entry { path: path.clone(), content: Content::File { bytes, mode: MANUAL_MODE } });
    for entry in layout::table(&payload, &tree.network_files()?).into_iter().chain(manuals) {
        let found = if args.check { tree.standing(&entry)? } else { tree.place(&entry)? };
        let placed = !args.check && found != Standing::Same;
        if !args.json {
            println!("{:<10} /{}{}", word(found, placed), entry.path.display(), detail(&entry.content));
        }
        reports.push(Report { path: entry.path, found, placed });
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    } else {
        println!("{}", summary(&reports));
        if !tree.has(Path::new("usr/bin/etcd")) {
            println!("note: the tree has no /usr/bin/etcd; quorate-etcd.service needs it, 3.5.30 or newer");
        }
    }
    let different = reports.iter().any(|report| report.found != Standing::Same);
    Ok(if args.check && different { Exit::Pending } else { Exit::Fine })
}

const MANUAL_MODE: u32 = 0o644;

/// Manual pages and completions, made from the definitions of this very program.
fn manuals() -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let mut manuals = Vec::new();
    for page in man::pages()? {
        let section = page.name.rsplit('.').next().unwrap_or_default();
        manuals.push((Path::new("usr/share/man").join(format!("man{section}")).join(&page.name), page.content));
    }
    for (shell, place) in [
        (Shell::Bash, "usr/share/bash-completion/completions/quorate"),
        (Shell::Zsh, "usr/share/zsh/site-functions/_quorate"),
        (Shell::Fish, "usr/share/fish/vendor_completions.d/quorate.fish"),
    ] {
        manuals.push((place.into(), completions::script(shell)));
    }
    Ok(manuals)
}

/// What was named on the command line cannot be used, or is refused for what it is.
fn classed(error: InstallError) -> anyhow::Error {
    let exit = match error {
        InstallError::RunningSystem { .. } | InstallError::Trust { .. } => Exit::Refused,
        InstallError::Root { .. } | InstallError::NotATree { .. } | InstallError::Payload { .. } => Exit::Usage,
        InstallError::Tree { .. } | InstallError::Place { .. } => Exit::Failed,
    };
    anyhow::Error::new(error).context(exit)
}

fn word(found: Standing, placed: bool) -> String {
    match (found, placed) {
        (Standing::Missing, true) => "placed".into(),
        (_, true) => "replaced".into(),
        (found, false) => found.to_string(),
    }
}

fn detail(content: &Content<'_>) -> String {
    match content {
        Content::File { bytes, mode } => format!("  ({mode:04o}, {} bytes)", bytes.len()),
        Content::Directory { mode } => format!("/  ({mode:04o})"),
        Content::Link { target } => format!("  -> {}", target.display()),
    }
}

fn summary(reports: &[Report]) -> String {
    let placed = reports.iter().filter(|report| report.placed).count();
    let same = reports.iter().filter(|report| report.found == Standing::Same).count();
    format!("{placed} placed, {same} unchanged, {} not as they should be", reports.len() - placed - same)
}
