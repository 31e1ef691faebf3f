//! `quorate collect`: copy what volumes carry, and what the kernel command line names, to where reconcile looks. What
//! `quorate-volume.service` and `quorate-fetch.service` execute.

use super::Exit;
use super::narrate::Narrator;
use crate::manifest::source::collect::{self, Collected, Outcome};
use crate::manifest::source::fetch;
use crate::message::Message;
use crate::paths::Paths;
use crate::status::human::Tone;
use crate::trust;
use anyhow::{Context, Result};
use std::time::Duration;

/// Arguments of `quorate collect`.
#[derive(Debug, clap::Args)]
pub struct CollectArgs {
    /// From where; from everywhere when nothing is named
    #[arg(value_enum)]
    carriers: Vec<Carrier>,
    /// How long to go on trying while nobody answers for the server and nothing was fetched from it yet, as it is at boot
    /// before the network is there: 90s, 5m
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = super::duration)]
    wait: Duration,
    /// Use the files below this directory in place of '/'
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: std::path::PathBuf,
}

/// From where to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Carrier {
    /// Volumes labelled QUORATE, cidata or config-2
    Volume,
    /// The file or https:// URL of 'quorate.manifest=' on the kernel command line
    CommandLine,
}

/// Runs the verb.
///
/// # Errors
/// When a copy cannot be written.
pub fn run(args: &CollectArgs) -> Result<Exit> {
    let paths = Paths::below(&args.root);
    let wanted = |carrier| args.carriers.is_empty() || args.carriers.contains(&carrier);
    let mut narrator = Narrator::new(args.wait.saturating_add(fetch::DEADLINE));
    let mut collected = Vec::new();
    if wanted(Carrier::Volume) {
        collected.extend(collect::volumes(&paths).context(Exit::Failed)?);
        collected.iter().for_each(|collected| tell(&mut narrator, collected));
    }
    if wanted(Carrier::CommandLine) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
        let clock = || trust::host::clock(&paths);
        let mut hear = |collected: &Collected| tell(&mut narrator, collected);
        let named = runtime.block_on(collect::command_line(&paths, clock, args.wait, &mut hear));
        // A name that nobody resolves is asked for in a thread that cannot be interrupted.
        runtime.shutdown_background();
        collected.extend(named.context(Exit::Failed)?);
    }
    let any = |kind: fn(&Outcome) -> bool| collected.iter().any(|collected| kind(&collected.outcome));
    Ok(if any(|outcome| matches!(outcome, Outcome::Refused(_))) {
        Exit::NotTrusted
    } else if any(|outcome| matches!(outcome, Outcome::Awaited(_))) {
        Exit::Waiting
    } else {
        Exit::Fine
    })
}

fn tell(narrator: &mut Narrator, Collected { origin, outcome }: &Collected) {
    match outcome {
        Outcome::Copied(files) => {
            narrator.note(Message::Done, Tone::Good, &format!("copy {} from {origin}", files.join(", ")));
        }
        Outcome::Unchanged => {
            narrator.note(Message::Note, Tone::Faint, &format!("{origin}: it was copied before"));
        }
        Outcome::Nothing => narrator.note(Message::Note, Tone::Faint, &format!("{origin}: it holds no manifest")),
        Outcome::Awaited(why) => narrator.note(Message::Waiting, Tone::Watch, &format!("{origin}: {why}")),
        Outcome::Refused(why) => narrator.note(Message::DropRefused, Tone::Bad, &format!("{origin}: {why}")),
    }
}
