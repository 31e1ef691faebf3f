//! `quorate plan`: what reconcile would do on this host, what is blocked, and why. Changes nothing.

use super::Exit;
use super::reconcile::exit_of_refused;
use super::report;
use super::status::paint;
use crate::manifest::identity;
use crate::manifest::intake::{Change, Mode, Refused, intake_from};
use crate::manifest::source::Where;
use crate::paths::Paths;
use crate::plan::{Hold, Plan};
use crate::reconcile::host::Host;
use crate::reconcile::machine::Machine;
use crate::reconcile::observe::facts;
use crate::reconcile::story::{self, Refusal, Source, Standing, Story};
use crate::reconcile::{Desired, plan, run, trial};
use crate::trust;
use anyhow::{Context, Result};
use std::path::PathBuf;

/// Arguments of `quorate plan`.
#[derive(Debug, clap::Args)]
pub struct PlanArgs {
    /// Print JSON (its form: 'quorate schema plan')
    #[arg(long)]
    json: bool,
    /// Show what 'quorate reconcile --try' would do with this manifest, and what it would leave out
    #[arg(long = "try", value_name = "MANIFEST")]
    candidate: Option<PathBuf>,
    /// Use the files below this directory in place of '/'
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    root: PathBuf,
}

/// Runs the verb.
///
/// # Errors
/// When the image does not say whom to trust, or this host's store cannot be read.
pub fn run(args: &PlanArgs) -> Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let place = match &args.candidate {
        Some(file) => {
            std::fs::metadata(file)
                .with_context(|| format!("cannot open '{}'", file.display()))
                .context(Exit::Usage)?;
            Where::Named(file)
        }
        None => Where::Host,
    };
    let story = runtime.block_on(story(&Paths::below(&args.root), place))?;
    let exit = exit_of(&story);
    if args.json {
        report::print_json(&story::in_json(&story, &exit.to_string()));
    } else {
        print!("{}", story::render(&story, paint()));
    }
    Ok(exit)
}

/// The JSON form, for who prints it elsewhere.
///
/// # Errors
/// As [`run`].
pub(super) async fn as_json(paths: &Paths) -> Result<serde_json::Value> {
    let story = story(paths, Where::Host).await?;
    Ok(story::in_json(&story, &exit_of(&story).to_string()))
}

async fn story(paths: &Paths, place: Where<'_>) -> Result<Story> {
    let intake = intake_from(place, paths, trust::host::clock(paths), Mode::DryRun)?;
    let nothing_in_force = intake.in_force.is_none().then(|| run::no_manifest(paths, &intake.refused));
    let refused = intake.refused.into_iter().map(|Refused { origin, class, why }| Refusal {
        origin: origin.to_string(),
        class,
        why,
    });
    let refused: Vec<Refusal> = refused.collect();
    let Some(in_force) = intake.in_force else {
        let plan = Plan { steps: Vec::new(), blocked: nothing_in_force.into_iter().collect() };
        return Ok(Story { host: None, manifest: None, standing: Standing::InForce, refused, plan });
    };
    let manifest = in_force.manifest;
    let source = Source::new(manifest.get(), &in_force.origin);
    let me = match identity::which(manifest.get(), &facts(paths).await) {
        Ok(me) => me.name.clone(),
        Err(error) => {
            let plan = Plan { steps: Vec::new(), blocked: vec![run::not_a_master(&error)] };
            let standing = match intake.change {
                Change::Accepted { from, .. } => Standing::Acceptable { from },
                Change::Nothing => Standing::InForce,
            };
            return Ok(Story { host: None, manifest: Some(source), standing, refused, plan });
        }
    };
    let desired = Desired::new(manifest, &me, paths.clone()).context("the manifest lost this master")?;
    let observed = Machine::new(paths.clone()).await.observe(&desired).await;
    let mut plan = plan::plan(&desired, &observed);
    let standing = match (intake.change, place) {
        (Change::Accepted { from: Some(from), .. }, Where::Named(_)) => {
            let (tried, left_out) = trial::share(plan);
            plan = tried;
            Standing::Trial { from, left_out }
        }
        (Change::Accepted { from, .. }, _) => Standing::Acceptable { from },
        (Change::Nothing, _) => Standing::InForce,
    };
    Ok(Story { host: Some(me), manifest: Some(source), standing, refused, plan })
}

/// A refusal is told before what could be done in spite of it, and that before a mere wait.
fn exit_of(story: &Story) -> Exit {
    let held = |hold| story.plan.blocked.iter().any(|blocked| blocked.hold == hold);
    if let Some(exit) = exit_of_refused(story.refused.iter().map(|refused| refused.class)) {
        exit
    } else if held(Hold::Refused) {
        Exit::Refused
    } else if story.is_pending() {
        Exit::Pending
    } else if held(Hold::Waiting) {
        Exit::Waiting
    } else {
        Exit::Fine
    }
}
