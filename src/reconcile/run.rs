//! A whole run: lock, intake, converge, account. What `quorate reconcile` and its units execute.

use super::account::{Account, Follower, News};
use super::apply::{self, Event};
use super::attempt::{self, Ended, Try};
use super::host::Host;
use super::lock::{self, LockError};
use super::machine::Machine;
use super::observe;
use crate::durable::{self, DurableError};
use crate::journal::chain;
use crate::manifest::identity::IdentityError;
use crate::manifest::intake::{Change, Class, Intake, IntakeError, Mode, Refused, intake, intake_from};
use crate::manifest::source::Where;
use crate::paths::Paths;
use crate::plan::{Blocked, Hold, Part};
use crate::status::compose::Cluster;
use crate::status::{EtcdStatus, FailedStep, Phase, RefusedDrop, Status};
use crate::trust;
use jiff::Timestamp;
use std::time::Duration;
use tokio::time::Instant;

/// What a run is given.
#[derive(Debug)]
pub struct Options {
    /// Where everything lies.
    pub paths: Paths,
    /// How long to stay while something named is on its way.
    pub patience: Duration,
    /// A manifest to be tried first.
    pub trial: Option<Try>,
}

/// What a run tells whoever follows it.
#[derive(Debug)]
pub enum Told<'a> {
    /// Another run has the lock.
    LockedBy(&'a str),
    /// What the intake came to.
    Intake(&'a Intake),
    /// Nothing could be taken in; what is in force stays so.
    NotTakenIn(&'a FailedStep),
    /// Something stands in the way before anything can be planned.
    Blocked(&'a Blocked),
    /// Something went wrong that nothing depends on.
    Ignored(&'a str),
    /// Something happened while converging.
    Event(Event<'a>),
    /// What becomes of a trial.
    Trial(attempt::News<'a>),
    /// A trial is over; an ordinary run follows.
    Tried(&'a Ended),
}

/// Why there was no run, or none that could be accounted for.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another run has the lock.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// No manifest could be judged: the image or the store is damaged.
    #[error("cannot take in a manifest")]
    Intake(#[from] IntakeError),
    /// The status document or metrics could not be written.
    #[error("cannot account for this run")]
    Account(#[from] DurableError),
}

/// How a run ended.
#[derive(Debug)]
pub struct Outcome {
    /// The last status document.
    pub status: Status,
    /// Drops that were refused.
    pub refused: Vec<Refused>,
    /// How the trial ended, when there was one.
    pub tried: Option<Ended>,
}

/// Runs until converged, blocked, failed, or out of patience.
///
/// # Errors
/// When the lock is not to be had or status cannot be written.
pub async fn run(options: &mut Options, tell: &mut dyn FnMut(Told<'_>)) -> Result<Outcome, RunError> {
    let Options { paths, patience, trial } = options;
    durable::directory(&paths.run(), 0o755)?;
    let _lock = lock::take(&paths.lock(), *patience, |holder| tell(Told::LockedBy(holder))).await?;
    let mut tried = None;
    if let Some(trial) = trial {
        let ended = attempt::attempt(trial, paths, tell).await?;
        tell(Told::Tried(&ended));
        tried = Some(ended);
    }
    let deadline = Instant::now() + *patience;
    loop {
        // Before the intake: what is dropped while it reads makes this pass begin again.
        let mut machine = Machine::new(paths.clone()).await;
        let (intake, failed) = take_in(paths, tell)?;
        tell(Told::Intake(&intake));
        // However it ended: the path unit does not fire for what arrives while its service runs.
        if let Some(status) = pass(&mut machine, &intake, failed, paths, deadline, tell).await?
            && !machine.new_input()
        {
            return Ok(Outcome { status, refused: intake.refused, tried });
        }
    }
}

/// What is in force from here on. When nothing can be taken in (a full disk, a damaged store), what was accepted earlier
/// is kept to all the same, and the failure is part of the account.
fn take_in(paths: &Paths, tell: &mut dyn FnMut(Told<'_>)) -> Result<(Intake, Vec<FailedStep>), RunError> {
    let clock = || trust::host::clock(paths);
    let error = match intake(paths, clock(), Mode::Store) {
        Ok(intake) => return Ok((intake, Vec::new())),
        Err(error) => error,
    };
    let failed = FailedStep { step: "take in what was dropped".into(), error: chain(&error) };
    match intake_from(Where::Nowhere, paths, clock(), Mode::DryRun) {
        Ok(intake) if intake.in_force.is_some() => {
            tell(Told::NotTakenIn(&failed));
            Ok((intake, vec![failed]))
        }
        Ok(_) | Err(_) => {
            let (refused_drops, awaited) = (Vec::new(), Vec::new());
            let account = Account { paths, refused_drops, awaited, origin: None, failed: vec![failed] };
            account.write(Phase::Failed, None, News::default())?;
            Err(error.into())
        }
    }
}

/// One pass with one manifest; nothing when new input asks for another.
async fn pass(
    machine: &mut Machine,
    intake: &Intake,
    failed: Vec<FailedStep>,
    paths: &Paths,
    deadline: Instant,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Option<Status>, DurableError> {
    // A stale drop is what every accepted one becomes; it is not worth waking anybody.
    let refused = intake.refused.iter().filter(|refused| refused.class.needs_repair());
    let refused_drops =
        refused.map(|refused| RefusedDrop { origin: refused.origin.to_string(), why: refused.why.clone() }).collect();
    let awaited = intake.refused.iter().filter(|refused| refused.class == Class::Awaited);
    let awaited = awaited.map(|refused| format!("{}: {}", refused.origin, refused.why)).collect();
    let origin = intake.in_force.as_ref().map(|in_force| in_force.origin.clone());
    let account = Account { paths, refused_drops, awaited, origin, failed };
    let Some(manifest) = intake.in_force.as_ref().map(|in_force| &in_force.manifest) else {
        let blocked = no_manifest(paths, &intake.refused);
        tell(Told::Blocked(&blocked));
        return account.write(Phase::NoManifest, None, News { blocked: vec![blocked], ..News::default() }).map(Some);
    };
    let desired = match observe::desired(manifest.clone(), paths).await {
        Ok(Some(desired)) => desired,
        Ok(None) => return Ok(None),
        Err(error) => {
            let blocked = not_a_master(&error);
            tell(Told::Blocked(&blocked));
            let cluster = Cluster { manifest: manifest.get(), me: None, seen: None };
            let news = News { blocked: vec![blocked], ..News::default() };
            return account.write(Phase::Refused, Some(cluster), news).map(Some);
        }
    };
    let patience = deadline.saturating_duration_since(Instant::now());
    let until = now().checked_add(patience).unwrap_or(Timestamp::MAX);
    let mut follower = Follower::new(&account, &desired, until);
    let ending = apply::converge(machine, &desired, deadline, &mut |event| {
        follower.hear(&event);
        tell(Told::Event(event));
    })
    .await;
    let status = follower.end(&ending)?;
    if let Some(status) = status.as_ref().filter(|status| matches!(status.etcd, EtcdStatus::Quorate { .. }))
        && let Err(error) = machine.publish(&desired, status).await
    {
        tell(Told::Ignored(&format!("cannot tell the other masters how this one is: {error}, ignoring")));
    }
    Ok(status)
}

/// What stands in the way before the first drop.
pub fn no_manifest(paths: &Paths, refused: &[Refused]) -> Blocked {
    let awaited = refused.iter().filter(|refused| refused.class == Class::Awaited);
    let awaited: String = awaited.map(|refused| format!("; {}: {}", refused.origin, refused.why)).collect();
    let places: Vec<String> = paths.drops().iter().map(|place| place.display().to_string()).collect();
    Blocked {
        part: Part::Manifest,
        hold: Hold::Waiting,
        what: "converge this host".into(),
        why: format!("no manifest was ever accepted here{awaited}"),
        unblock: format!(
            "'manifest.yaml', 'manifest.yaml.sig' and this master's 'node.pem' in one of {}",
            places.join(", ")
        ),
    }
}

/// What stands in the way on a host that the manifest does not name exactly once, as far as can be told.
pub fn not_a_master(error: &IdentityError) -> Blocked {
    let unblock = match error {
        IdentityError::None { .. } | IdentityError::Several(_) => "a manifest that names this host exactly once",
        IdentityError::Unknown { .. } => "what cannot be read, or a manifest that does not depend on it",
    };
    Blocked {
        part: Part::Manifest,
        hold: Hold::Refused,
        what: "act as a master".into(),
        why: error.to_string(),
        unblock: unblock.into(),
    }
}

#[expect(clippy::disallowed_methods, reason = "a shell: it hands the time to the intake")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// What an intake changed, in words.
pub fn accepted(change: &Change) -> Option<String> {
    match change {
        Change::Nothing => None,
        Change::Accepted { from: None, to } => Some(format!("generation {to}, the first on this host")),
        Change::Accepted { from: Some(from), to } => Some(format!("generation {to} in place of {from}")),
    }
}

#[cfg(test)]
mod tests;
