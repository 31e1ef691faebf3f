//! `quorate reconcile`: bring this host to what the manifest in force says.

use super::Exit;
use super::confirm::{self, Confirmation};
use super::narrate::Narrator;
use crate::manifest::intake::{Class, Intake, Refused};
use crate::message::Message;
use crate::paths::Paths;
use crate::reconcile::attempt::{Ended, News, Try};
use crate::reconcile::lock::LockError;
use crate::reconcile::run::{self, Options, Outcome, RunError, Told};
use crate::reconcile::trial::Asked;
use crate::status::human::Tone;
use crate::status::{Phase, Status};
use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::path::PathBuf;
use std::time::Duration;

/// Arguments of `quorate reconcile`.
#[derive(Debug, clap::Args)]
pub struct ReconcileArgs {
    /// How long to stay while something named is on its way, such as the other masters: 90s, 10m
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = super::duration)]
    wait: Duration,
    /// Try MANIFEST for this long on the virtual router, and go back to the manifest in force (exit code 7) unless the
    /// result verifies and, on a terminal, is confirmed; 60s is enough for the other masters to have their say
    #[arg(long = "try", value_name = "TIME", requires = "manifest", value_parser = limit)]
    limit: Option<Duration>,
    /// The manifest to try, with its signature beside it as MANIFEST.sig; not in a drop directory
    #[arg(requires = "limit")]
    manifest: Option<PathBuf>,
    /// Print the status document at the end
    #[arg(long)]
    json: bool,
    /// Use the files below this directory in place of '/'
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// The shortest try in which anything can be seen, and the longest that the run waiting behind it puts up with.
const LIMITS: std::ops::RangeInclusive<Duration> = Duration::from_secs(5)..=Duration::from_secs(300);
/// After a try nobody wants to wait for what else is on its way; the run behind it does.
const WAIT_AFTER_TRY: Duration = Duration::from_secs(30);

fn limit(text: &str) -> Result<Duration, String> {
    let limit = super::duration(text)?;
    if LIMITS.contains(&limit) { Ok(limit) } else { Err("a try takes from 5s to 5m".to_owned()) }
}

/// Runs the verb.
///
/// # Errors
/// When another run keeps the lock, or status cannot be written.
pub fn run(args: &ReconcileArgs) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let outcome = runtime.block_on(async {
        let mut options = Options { paths: Paths::below(&args.root), patience: args.wait, trial: None };
        let mut impatient = None;
        if let Some((limit, manifest)) = args.limit.zip(args.manifest.clone()) {
            // A path that leads nowhere is a mistake on the command line, and no manifest that could be refused.
            std::fs::metadata(&manifest)
                .with_context(|| format!("cannot open '{}'", manifest.display()))
                .context(Exit::Usage)?;
            let Confirmation { asked, answers, impatient: second_signal } = confirm::listen()?;
            options.patience = options.patience.min(WAIT_AFTER_TRY);
            options.trial = Some(Try { manifest, limit, asked, answer: Box::new(move || answers.try_iter().last()) });
            impatient = Some(second_signal);
        }
        let mut narrator = Narrator::new(options.patience);
        let mut hear = |told: Told<'_>| tell(&mut narrator, &told);
        let outcome = tokio::select! {
            outcome = run::run(&mut options, &mut hear) => outcome,
            Ok(()) = async { match impatient { Some(signal) => signal.await, None => std::future::pending().await } } => {
                bail!("interrupted on the way back; quorate-reconcile.service goes on with it");
            }
        };
        if let Ok(outcome) = &outcome {
            conclude(&mut narrator, outcome);
        }
        Ok(outcome)
    })?;
    let outcome = match outcome {
        Ok(outcome) => outcome,
        Err(error @ RunError::Lock(LockError::Held { .. })) => return Err(error).context(Exit::Waiting),
        Err(error) => return Err(error).context(Exit::Failed),
    };
    if args.json {
        let tried = outcome.tried.as_ref().map(trial_in_json);
        println!("{:#}", json!(Document { status: &outcome.status, tried }));
    }
    Ok(exit_of(&outcome))
}

fn tell(narrator: &mut Narrator, told: &Told<'_>) {
    match told {
        Told::LockedBy(holder) => {
            let limit = narrator.limit();
            narrator.awaits(&format!("waiting for another reconcile (process {holder}); {limit}"));
        }
        Told::Intake(intake) => tell_intake(narrator, intake),
        Told::NotTakenIn(failed) => {
            narrator.note(Message::Failed, Tone::Bad, &format!("{}: {}", failed.step, failed.error));
        }
        Told::Blocked(blocked) => narrator.blocked(blocked),
        Told::Ignored(what) => narrator.note(Message::Note, Tone::Watch, what),
        Told::Event(event) => narrator.tell(event),
        Told::Trial(news) => tell_trial(narrator, news),
        Told::Tried(ended) => tell_tried(narrator, ended),
    }
}

fn tell_trial(narrator: &mut Narrator, news: &News<'_>) {
    match news {
        News::Begun { generation, in_force, limit, asked, left_out } => {
            let limit = limit.as_secs();
            narrator.note(
                Message::Note,
                Tone::Strong,
                &format!("generation {generation} is on trial for {limit} s; {in_force} stays in force"),
            );
            left_out.iter().for_each(|blocked| {
                narrator.note(Message::Note, Tone::Faint, &format!("not tried: {} ({})", blocked.what, blocked.why));
            });
            if *asked == Asked::Somebody {
                let question = format!("Enter keeps it, Ctrl-C takes it back; so does no answer within {limit} s");
                narrator.note(Message::Note, Tone::Strong, &question);
            }
        }
        News::Awaits(what, left) => narrator.awaits(&format!("{what}; taken back in {} s", left.as_secs())),
    }
}

fn tell_tried(narrator: &mut Narrator, ended: &Ended) {
    match ended {
        // The manifest that is accepted now was told already.
        Ended::Kept => {}
        Ended::TakenBack { why } => narrator.note(Message::TakenBack, Tone::Bad, why),
        Ended::NotBegun { why } => narrator.note(Message::Refused, Tone::Bad, &format!("nothing was tried: {why}")),
        Ended::NotAccepted(refused) => refused.iter().for_each(|refused| {
            narrator.note(Message::DropRefused, Tone::Bad, &format!("{}: {}", refused.origin, refused.why));
        }),
    }
}

/// The status document, with the end of the trial beside it.
#[derive(Serialize)]
struct Document<'a> {
    #[serde(flatten)]
    status: &'a Status,
    #[serde(rename = "try", skip_serializing_if = "Option::is_none")]
    tried: Option<Json>,
}

fn trial_in_json(ended: &Ended) -> Json {
    match ended {
        Ended::Kept => json!({ "ended": "kept" }),
        Ended::TakenBack { why } => json!({ "ended": "reverted", "why": why }),
        Ended::NotBegun { why } => json!({ "ended": "not-begun", "why": why }),
        Ended::NotAccepted(refused) => json!({ "ended": "not-accepted", "refused": refused }),
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
    match &outcome.tried {
        Some(Ended::TakenBack { .. }) => return Exit::Reverted,
        Some(Ended::NotBegun { .. }) => return Exit::Refused,
        // An older or expired manifest is a refusal where somebody asked for it by name.
        Some(Ended::NotAccepted(refused)) => return exit_of_refused(classes(refused)).unwrap_or(Exit::Refused),
        Some(Ended::Kept) | None => {}
    }
    if let Some(exit) = exit_of_refused(classes(&outcome.refused)) {
        return exit;
    }
    match outcome.status.phase {
        Phase::Converged => Exit::Fine,
        Phase::Refused => Exit::Refused,
        Phase::Failed => Exit::Failed,
        Phase::Waiting | Phase::NoManifest | Phase::Converging => Exit::Waiting,
    }
}

fn classes(refused: &[Refused]) -> impl Iterator<Item = Class> {
    refused.iter().map(|refused| refused.class)
}

/// How refused drops end the process, if at all: by the reason that has to be repaired first.
pub(super) fn exit_of_refused(classes: impl Iterator<Item = Class>) -> Option<Exit> {
    match classes.min()? {
        Class::NotTrusted => Some(Exit::NotTrusted),
        Class::Invalid => Some(Exit::Invalid),
        Class::Unsafe => Some(Exit::Refused),
        Class::Stale | Class::Awaited => None,
    }
}
