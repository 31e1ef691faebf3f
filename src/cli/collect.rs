//! `quorate collect`: copy what volumes carry to where reconcile looks. What `quorate-volume.service` executes.

use super::Exit;
use super::narrate::Narrator;
use crate::manifest::source::collect::{self, Collected, Outcome};
use crate::message::Message;
use crate::paths::Paths;
use crate::status::human::Tone;
use anyhow::{Context, Result};

/// Arguments of `quorate collect`.
#[derive(Debug, clap::Args)]
pub struct CollectArgs {
    /// Use the files below this directory in place of '/'
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: std::path::PathBuf,
}

/// Runs the verb.
///
/// # Errors
/// When a copy cannot be written.
pub fn run(args: &CollectArgs) -> Result<Exit> {
    let mut narrator = Narrator::new();
    let collected = collect::volumes(&Paths::below(&args.root)).context(Exit::Failed)?;
    collected.iter().for_each(|collected| tell(&mut narrator, collected));
    let refused = collected.iter().any(|collected| matches!(collected.outcome, Outcome::Refused(_)));
    Ok(if refused { Exit::NotTrusted } else { Exit::Fine })
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
        Outcome::Refused(why) => narrator.note(Message::DropRefused, Tone::Bad, &format!("{origin}: {why}")),
    }
}
