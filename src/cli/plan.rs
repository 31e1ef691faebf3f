//! `quorate plan`: what reconcile would do on this host, what is blocked, and why. Changes nothing.

use super::Exit;
use super::reconcile::exit_of_refused;
use super::report;
use crate::manifest::intake::{Class, Mode, Refused, intake};
use crate::paths::Paths;
use crate::plan::{Blocked, Hold, Plan};
use crate::reconcile::host::Host;
use crate::reconcile::machine::Machine;
use crate::reconcile::observe;
use crate::reconcile::{Action, plan, run};
use crate::status::human::{Paint, Tone};
use crate::trust;
use anyhow::{Context, Result};
use serde_json::json;
use std::io::IsTerminal;

/// The version of the JSON form.
const SCHEMA: &str = "quorate/plan/v1";

/// Arguments of `quorate plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Use the files below this directory in place of '/'
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: std::path::PathBuf,
}

/// What was found to be done.
#[derive(Debug)]
struct Story {
    accepted: Option<String>,
    refused: Vec<Refused>,
    heading: String,
    plan: Plan<Action>,
}

/// Runs the verb.
///
/// # Errors
/// When this host is not exactly one master of the manifest.
pub fn run(args: &PlanArgs) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let story = runtime.block_on(story(&Paths::below(&args.root)))?;
    if args.json {
        report::print_json(&in_json(&story));
    } else {
        print(&story, if std::io::stdout().is_terminal() { Paint::Colour } else { Paint::Plain });
    }
    Ok(exit_of(&story))
}

/// The JSON form, for who prints it elsewhere.
///
/// # Errors
/// As [`run`].
pub(super) async fn as_json(paths: &Paths) -> Result<serde_json::Value> {
    Ok(in_json(&story(paths).await?))
}

async fn story(paths: &Paths) -> Result<Story> {
    let intake = intake(paths, trust::host::clock(paths), Mode::DryRun)?;
    let accepted = run::accepted(&intake.change);
    let Some(manifest) = intake.in_force.map(|in_force| in_force.manifest) else {
        let heading = "no manifest is in force here".to_owned();
        let plan = Plan { steps: Vec::new(), blocked: vec![run::no_manifest(paths)] };
        return Ok(Story { accepted: None, refused: intake.refused, heading, plan });
    };
    let desired =
        observe::desired(manifest, paths).await.context(Exit::Refused)?.context("the manifest lost this master")?;
    let cluster = desired.manifest();
    let heading = format!("{}: {} generation {}", desired.me().name, cluster.name, cluster.generation);
    let observed = Machine::new(paths.clone()).await.observe(&desired).await;
    let plan = plan::plan(&desired, &observed);
    Ok(Story { accepted, refused: intake.refused, heading, plan })
}

/// A refusal is told before what could be done in spite of it, and that before a mere wait.
fn exit_of(story: &Story) -> Exit {
    let held = |hold| story.plan.blocked.iter().any(|blocked| blocked.hold == hold);
    if let Some(exit) = exit_of_refused(&story.refused) {
        exit
    } else if held(Hold::Refused) {
        Exit::Refused
    } else if !story.plan.steps.is_empty() || story.accepted.is_some() {
        Exit::Pending
    } else if held(Hold::Waiting) {
        Exit::Waiting
    } else {
        Exit::Fine
    }
}

fn in_json(story: &Story) -> serde_json::Value {
    let steps: Vec<_> = story
        .plan
        .steps
        .iter()
        .map(|step| {
            json!({ "part": step.action.part(), "text": step.action.to_string(), "action": step.action, "why": step.why })
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "verdict": exit_of(story).to_string(),
        "wouldAccept": story.accepted,
        "refusedDrops": story.refused,
        "steps": steps,
        "blocked": story.plan.blocked,
    })
}

fn print(story: &Story, paint: Paint) {
    println!("{}", paint.tone(Tone::Strong, &story.heading));
    if let Some(accepted) = &story.accepted {
        println!("  {} {accepted}", paint.tone(Tone::Watch, "would accept"));
    }
    for refused in &story.refused {
        let (tone, word) =
            if refused.class == Class::Stale { (Tone::Faint, "stale drop") } else { (Tone::Bad, "refused drop") };
        println!("  {} {}: {}", paint.tone(tone, word), refused.origin, refused.why);
    }
    let mut part = None;
    for step in &story.plan.steps {
        if part.replace(step.action.part()) != Some(step.action.part()) {
            println!("{}", paint.tone(Tone::Strong, &step.action.part().to_string()));
        }
        println!("  {} {}", paint.tone(Tone::Good, "+"), step.action);
        println!("    {}", paint.tone(Tone::Faint, &format!("because {}", step.why)));
    }
    story.plan.blocked.iter().for_each(|blocked| print_blocked(blocked, paint));
    let (steps, blocked) = (story.plan.steps.len(), story.plan.blocked.len());
    if steps + blocked == 0 {
        println!("  {}", paint.tone(Tone::Good, "nothing to do"));
    } else {
        println!("{steps} to do, {blocked} blocked; further steps may show once these are done");
    }
}

fn print_blocked(blocked: &Blocked, paint: Paint) {
    let (word, tone) = match blocked.hold {
        Hold::Refused => ("refused", Tone::Bad),
        Hold::Waiting => ("waiting", Tone::Watch),
    };
    println!("{}", paint.tone(Tone::Strong, &blocked.part.to_string()));
    println!("  {} {}", paint.tone(tone, word), blocked.what);
    println!("    {}", blocked.why);
    println!("    {}", paint.tone(Tone::Faint, &format!("unblocked by: {}", blocked.unblock)));
}
