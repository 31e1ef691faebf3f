//! `quorate reconcile`: bring this host to what the manifest in force says.

use super::Exit;
use super::narrate::Narrator;
use crate::manifest::intake::{Class, Intake, Refused};
use crate::message::Message;
use crate::paths::Paths;
use crate::reconcile::lock::LockError;
use crate::reconcile::run::{self, Options, Outcome, RunError, Told};
use crate::status::Phase;
use crate::status::human::Tone;
use anyhow::{Context, Result};
use std::time::Duration;

/// Arguments of `quorate reconcile`.
#[derive(Debug, clap::Args)]
pub struct ReconcileArgs {
    /// How long to stay while something named is on its way, such as the other masters: 90s, 10m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::duration)]
    wait: Duration,
    /// Print the status document at the end
    #[arg(long)]
    json: bool,
    /// Use the files below this directory in place of '/'
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: std::path::PathBuf,
}

/// Runs the verb.
///
/// # Errors
/// When another run keeps the lock, or status cannot be written.
pub fn run(args: &ReconcileArgs) -> Result<Exit> {
    let options = Options { paths: Paths::below(&args.root), patience: args.wait };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let outcome = runtime.block_on(async {
        let mut narrator = Narrator::new();
        let outcome = run::run(&options, &mut |told| tell(&mut narrator, &told)).await;
        if let Ok(outcome) = &outcome {
            conclude(&mut narrator, outcome);
        }
        outcome
    });
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error @ RunError::Lock(LockError::Held { .. })) => return Err(error).context(Exit::Waiting),
        Err(error) => return Err(error).context(Exit::Failed),
    };
    if args.json {
        println!("{}", serde_json::to_string_pretty(&outcome.status)?);
    }
    Ok(exit_of(&outcome))
}

fn tell(narrator: &mut Narrator, told: &Told<'_>) {
    match told {
        Told::LockedBy(holder) => {
            narrator.note(Message::Waiting, Tone::Watch, &format!("for another reconcile (process {holder})"));
        }
        Told::Intake(intake) => tell_intake(narrator, intake),
        Told::Blocked(blocked) => narrator.blocked(blocked),
        Told::Ignored(what) => narrator.note(Message::Note, Tone::Watch, what),
        Told::Event(event) => narrator.tell(event),
    }
}

fn tell_intake(narrator: &mut Narrator, intake: &Intake) {
    if let (Some(accepted), Some(in_force)) = (run::accepted(&intake.change), &intake.in_force) {
        let signers = in_force.signers.join(", ");
        narrator.note(Message::Accepted, Tone::Good, &format!("{accepted}: {}, signed by {signers}", in_force.origin));
        in_force.warnings.iter().for_each(|warning| narrator.note(Message::Note, Tone::Watch, warning));
    }
    intake.notes.iter().for_each(|note| narrator.note(Message::Note, Tone::Watch, note));
    for refused in &intake.refused {
        let (message, tone) = match refused.class {
            // What was overtaken lies in a drop directory for ever; that is no fault.
            Class::Stale => (Message::Note, Tone::Faint),
            Class::Awaited => (Message::Waiting, Tone::Watch),
            Class::NotTrusted | Class::Invalid | Class::Unsafe => (Message::DropRefused, Tone::Bad),
        };
        narrator.note(message, tone, &format!("{}: {}", refused.origin, refused.why));
    }
}

fn conclude(narrator: &mut Narrator, outcome: &Outcome) {
    let (message, tone) = match outcome.status.phase {
        Phase::Converged => (Message::Converged, Tone::Good),
        Phase::Converging | Phase::Waiting | Phase::NoManifest => (Message::Waiting, Tone::Watch),
        Phase::Refused => (Message::Refused, Tone::Bad),
        Phase::Failed => (Message::Failed, Tone::Bad),
    };
    let manifest = outcome.status.manifest.as_ref();
    let text = manifest.map_or_else(
        || "no manifest in force".to_owned(),
        |manifest| format!("{} generation {}", manifest.cluster, manifest.generation),
    );
    narrator.note(message, tone, &text);
}

/// The worst of what happened: a failure outweighs a refused drop, and that one a host that is fine with the manifest
/// before it.
fn exit_of(outcome: &Outcome) -> Exit {
    if outcome.status.phase == Phase::Failed {
        return Exit::Failed;
    }
    if let Some(exit) = exit_of_refused(&outcome.refused) {
        return exit;
    }
    match outcome.status.phase {
        Phase::Converged => Exit::Fine,
        Phase::Refused => Exit::Refused,
        Phase::Failed => Exit::Failed,
        Phase::Waiting | Phase::NoManifest | Phase::Converging => Exit::Waiting,
    }
}

/// How refused drops end the process, if at all: by the reason that has to be repaired first.
pub(super) fn exit_of_refused(refused: &[Refused]) -> Option<Exit> {
    match refused.iter().map(|refused| refused.class).min()? {
        Class::NotTrusted => Some(Exit::NotTrusted),
        Class::Invalid => Some(Exit::Invalid),
        Class::Unsafe => Some(Exit::Refused),
        Class::Stale | Class::Awaited => None,
    }
}
