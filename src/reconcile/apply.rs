//! The loop: observe, plan, carry out, and look again until nothing is left to do.
//!
//! It decides only when to stop. What is done comes from [`super::plan`]; that it has worked is known only
//! because the next plan no longer asks for it.

use super::host::{Host, StepError};
use super::{Action, Desired, Observed, plan};
use crate::plan::{Blocked, Hold, Part, Plan, Step};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Rounds with steps before the run gives up: a correct plan needs fewer than ten from an empty host to a member,
/// so more means that two parts undo each other's work.
const MOST_ROUNDS: usize = 32;

/// Pause between two looks while only waits are left.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How a run ended.
#[derive(Debug)]
pub enum Ending {
    /// The last plan was empty.
    Converged,
    /// The time is up and something named is still on its way.
    Waiting(Vec<Blocked>),
    /// Nothing is on its way, and something was refused.
    Refused(Vec<Blocked>),
    /// Steps failed; the rest of their part was left undone, other parts went on.
    Failed(Vec<Failure>),
    /// New input arrived; the run has to begin again with it.
    NewInput,
}

/// A step that did not work.
#[derive(Debug)]
pub struct Failure {
    /// The step, as planned.
    pub step: Step<Action>,
    /// Why it failed, with its chain of causes.
    pub error: StepError,
}

/// What a run tells whoever follows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A round has been planned, from this observation.
    Planned(&'a Observed, &'a Plan<Action>),
    /// A step begins.
    Begun(&'a Step<Action>),
    /// A step that takes time says what it waits for.
    Progress(&'a str),
    /// A step is done.
    Done(&'a Step<Action>),
    /// A step failed.
    Failed(&'a Failure),
}

/// Brings the host to `desired`, until it is there, `deadline` passes with something still on its way, or
/// `host` reports new input.
pub async fn converge<H: Host>(
    host: &mut H,
    desired: &Desired,
    deadline: Instant,
    report: &mut dyn FnMut(Event<'_>),
) -> Ending {
    let mut rounds_with_steps = 0;
    loop {
        let observed = host.observe(desired).await;
        let plan = plan::plan(desired, &observed);
        report(Event::Planned(&observed, &plan));
        if plan.is_empty() {
            // The path unit does not fire for what arrives while its service runs: nobody else would look at it soon.
            return if host.new_input() { Ending::NewInput } else { Ending::Converged };
        }
        let mut blocked = plan.blocked;
        if !plan.steps.is_empty() {
            rounds_with_steps += 1;
            let mut applied = carry_out(host, desired, &plan.steps, deadline, report).await;
            if rounds_with_steps == MOST_ROUNDS {
                applied.failures.extend(plan.steps.into_iter().map(unsettled));
            }
            if !applied.failures.is_empty() {
                return Ending::Failed(applied.failures);
            }
            if applied.held.is_empty() {
                continue;
            }
            blocked.extend(applied.held);
        }
        if host.new_input() {
            return Ending::NewInput;
        }
        // What is waited for decides: a refusal elsewhere does not make the rest stop coming.
        if blocked.iter().all(|blocked| blocked.hold == Hold::Refused) {
            return Ending::Refused(blocked);
        }
        let now = Instant::now();
        if now >= deadline {
            return Ending::Waiting(blocked);
        }
        tokio::time::sleep_until((now + LOOK_AGAIN).min(deadline)).await;
    }
}

/// What became of a round's steps, but for those that are simply done.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) failures: Vec<Failure>,
    held: Vec<Blocked>,
}

/// Carries the steps out in order. One that fails or is held ends its own part, whose later steps may rest on it,
/// and no other.
pub(super) async fn carry_out<H: Host>(
    host: &mut H,
    desired: &Desired,
    steps: &[Step<Action>],
    deadline: Instant,
    report: &mut dyn FnMut(Event<'_>),
) -> Applied {
    let mut applied = Applied::default();
    let mut ended: BTreeSet<Part> = BTreeSet::new();
    for step in steps {
        if ended.contains(&step.action.part()) {
            continue;
        }
        report(Event::Begun(step));
        let mut progress = |text: &str| report(Event::Progress(text));
        match host.execute(desired, &step.action, deadline, &mut progress).await {
            Ok(()) => report(Event::Done(step)),
            Err(StepError::Held { hold, why }) => {
                ended.insert(step.action.part());
                applied.held.push(StepError::blocked(step, hold, &why));
            }
            Err(error @ StepError::Failed { .. }) => {
                let failure = Failure { step: step.clone(), error };
                report(Event::Failed(&failure));
                ended.insert(step.action.part());
                applied.failures.push(failure);
            }
        }
    }
    applied
}

fn unsettled(step: Step<Action>) -> Failure {
    let error = StepError::Failed {
        attempt: format!("the plan does not settle: this step is still asked for after {MOST_ROUNDS} rounds"),
        source: "two parts undo each other's work; please report it with 'quorate plan --json'".into(),
    };
    Failure { step, error }
}

#[cfg(test)]
mod tests;
