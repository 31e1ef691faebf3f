//! Carries a trial out: takes the candidate in without accepting it, makes sure that somebody takes it back should
//! this process die, applies its share, and looks until [`super::trial`] has decided.

use super::account::Account;
use super::apply::{self, Event};
use super::host::Host;
use super::machine::Machine;
use super::observe::facts;
use super::run::{RunError, Told};
use super::trial::{self, Answer, Asked, Decision, Sight, Trial};
use super::{Desired, Observed, plan};
use crate::durable::DurableError;
use crate::ident::{Generation, NodeName};
use crate::journal::chain;
use crate::manifest::identity;
use crate::manifest::intake::{Change, Mode, Refused, intake_from};
use crate::manifest::source::Where;
use crate::paths::Paths;
use crate::plan::{Blocked, Hold};
use crate::status::Activity;
use crate::trust;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::Instant;

/// Between two looks.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What is asked for.
pub struct Try {
    /// The manifest, with its signature beside it. Not in a drop directory: what lies there is accepted at once.
    pub manifest: PathBuf,
    /// How long it has to be kept or to be taken back.
    pub limit: Duration,
    /// Whether somebody is asked.
    pub asked: Asked,
    /// What was answered since the last call.
    pub answer: Box<dyn FnMut() -> Option<Answer>>,
}

impl fmt::Debug for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Try").field("manifest", &self.manifest).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// How a trial ended.
#[derive(Debug)]
pub enum Ended {
    /// The manifest is accepted; the run that follows does the rest of it.
    Kept,
    /// The run that follows goes back to the manifest in force.
    TakenBack {
        /// Why.
        why: String,
    },
    /// It did not begin, and nothing was changed.
    NotBegun {
        /// Why not, and what to do.
        why: String,
    },
    /// The manifest is refused, as a drop would be; nothing was changed.
    NotAccepted(Vec<Refused>),
}

/// What a trial tells whoever follows it.
#[derive(Debug)]
pub enum News<'a> {
    /// It begins.
    Begun {
        /// The candidate's generation.
        generation: Generation,
        /// The one in force, which a failure goes back to.
        in_force: Generation,
        /// What is asked for.
        limit: Duration,
        /// Whether somebody is asked.
        asked: Asked,
        /// What is not part of it.
        left_out: &'a [Blocked],
    },
    /// What is awaited, and for how much longer.
    Awaits(&'a str, Duration),
}

/// The whole trial, under the caller's lock.
///
/// # Errors
/// When this host's own store or status cannot be read or written.
pub(super) async fn attempt(
    asked_for: &mut Try,
    paths: &Paths,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Ended, RunError> {
    let clock = || trust::host::clock(paths);
    let not_begun = |why: String| Ok(Ended::NotBegun { why });
    let file = asked_for.manifest.clone();
    let Some(in_force) = intake_from(Where::Nowhere, paths, clock(), Mode::DryRun)?.in_force else {
        return not_begun(
            "no manifest is in force that a failure could go back to; a first manifest is dropped".into(),
        );
    };
    let offered = intake_from(Where::Named(&file), paths, clock(), Mode::DryRun)?;
    let (Some(candidate), Change::Accepted { to, .. }) = (offered.in_force, offered.change) else {
        if offered.refused.is_empty() {
            let generation = in_force.manifest.get().generation;
            return not_begun(format!("'{}' is in force already, as generation {generation}", file.display()));
        }
        return Ok(Ended::NotAccepted(offered.refused));
    };
    let digest = candidate.manifest.get().digest;
    let facts = facts(paths).await;
    let mine = |manifest: crate::trust::Verified<crate::manifest::Manifest>| {
        let me = identity::which(manifest.get(), &facts).map_err(|error| error.to_string())?.name.clone();
        Desired::new(manifest, &me, paths.clone()).ok_or_else(|| "the manifest lost this master".to_owned())
    };
    let (before, desired) = match (mine(in_force.manifest), mine(candidate.manifest)) {
        (Ok(before), Ok(desired)) => (before, desired),
        (Err(why), _) | (_, Err(why)) => return not_begun(why),
    };
    let mut machine = Machine::new(paths.clone()).await;
    let (first, left_out) = trial::share(plan::plan(&desired, &machine.observe(&desired).await));
    if let Some(refused) = first.blocked.iter().find(|blocked| blocked.hold == Hold::Refused) {
        return not_begun(format!("{}: {}; unblocked by: {}", refused.what, refused.why, refused.unblock));
    }
    if let Err(why) = machine.queue_a_run().await {
        return not_begun(format!("nothing would take it back should this process die: {why}"));
    }
    tell(Told::Trial(News::Begun {
        generation: to,
        in_force: before.manifest().generation,
        limit: asked_for.limit,
        asked: asked_for.asked,
        left_out: &left_out,
    }));
    let origin = Some(in_force.origin);
    let account = Account { paths, refused_drops: Vec::new(), awaited: Vec::new(), origin, failed: Vec::new() };
    let (since, step) = (now(), format!("try generation {to} of '{}'", file.display()));
    let deadline = since.checked_add(asked_for.limit).ok();
    let mut trouble: Option<DurableError> = None;
    let ended = hold(&mut machine, &desired, asked_for, &mut |event| match event {
        Held::Event(event) => tell(Told::Event(event)),
        Held::Awaits(what, left, observed) => {
            tell(Told::Trial(News::Awaits(what, left)));
            let activity = Activity { step: step.clone(), progress: what.to_owned(), since, deadline };
            // The trial goes on without its account: an unwritable /run is no reason to leave a VIP where it is.
            trouble = account.trying(&before, observed, activity).err();
        }
    })
    .await;
    if let Some(trouble) = trouble {
        tell(Told::Ignored(&format!("{}, ignoring", chain(&trouble))));
    }
    if matches!(ended, Ended::Kept) {
        let accepted = intake_from(Where::Named(&file), paths, clock(), Mode::Store)?;
        tell(Told::Intake(&accepted));
        if accepted.in_force.is_none_or(|in_force| in_force.manifest.get().digest != digest) {
            return Ok(Ended::TakenBack { why: format!("'{}' is not what was tried any more", file.display()) });
        }
    }
    Ok(ended)
}

/// What [`hold`] tells.
pub(super) enum Held<'a> {
    /// Something happened while applying.
    Event(Event<'a>),
    /// What is awaited now, and for how long; told when it changes.
    Awaits(&'a str, Duration, &'a Observed),
}

/// Applies the candidate's share and looks until it is decided.
pub(super) async fn hold<H: Host>(
    host: &mut H,
    desired: &Desired,
    asked_for: &mut Try,
    report: &mut dyn FnMut(Held<'_>),
) -> Ended {
    let others = desired.manifest().masters.iter().filter(|master| master.name != desired.me().name);
    let others: Vec<NodeName> = others.map(|master| master.name.clone()).collect();
    let start = Instant::now();
    let deadline = start + asked_for.limit;
    let (mut trial, mut answer, mut awaited) = (Trial::default(), None, String::new());
    loop {
        let observed = host.observe(desired).await;
        let (share, _) = trial::share(plan::plan(desired, &observed));
        let sight = Sight::new(&share, &observed, &others);
        answer = (asked_for.answer)().or(answer);
        let judgement = trial.see(&sight, start.elapsed());
        let left = deadline.saturating_duration_since(Instant::now());
        match trial::decide(&judgement, asked_for.asked, answer.as_ref(), left) {
            Decision::Keep => return Ended::Kept,
            Decision::TakeBack(why) => return Ended::TakenBack { why },
            // A step that is carried out now is told by itself.
            Decision::Wait(what) if what != awaited && share.steps.is_empty() => {
                report(Held::Awaits(&what, left, &observed));
                awaited = what;
            }
            Decision::Wait(_) => {}
        }
        let applied =
            apply::carry_out(host, desired, &share.steps, deadline, &mut |event| report(Held::Event(event))).await;
        if let Some(failure) = applied.failures.first() {
            return Ended::TakenBack { why: format!("{}: {}", failure.step.action, chain(&failure.error)) };
        }
        tokio::time::sleep_until((Instant::now() + LOOK_AGAIN).min(deadline)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "a shell: it dates what it begins")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

#[cfg(test)]
mod tests;
