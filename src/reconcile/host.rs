//! The seam between the loop and the world: two verbs in our own vocabulary.

use super::{Action, Desired, Observed};
use crate::plan::{Blocked, Hold, Step};
use std::error::Error;
use tokio::time::Instant;

/// How a step can end other than well.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// It did all it could; the rest is up to something named. Not a failure: the next look decides again.
    #[error("{why}")]
    Held {
        /// Whether what is missing comes by itself.
        hold: Hold,
        /// What is missing.
        why: String,
    },
    /// It failed.
    #[error("{attempt}")]
    Failed {
        /// What was attempted.
        attempt: String,
        /// Why it failed.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl StepError {
    /// The held step in the words of a plan.
    pub fn blocked(step: &Step<Action>, hold: Hold, why: &str) -> Blocked {
        Blocked {
            part: step.action.part(),
            hold,
            what: step.action.to_string(),
            why: why.to_owned(),
            unblock: "what is named above; the next run tries again".into(),
        }
    }
}

/// A host that can be looked at and acted upon. The real one is [`super::machine::Machine`]; tests have a simulated one.
#[expect(async_fn_in_trait, reason = "used by generic functions of this crate only, on one thread")]
pub trait Host {
    /// Looks at everything a plan needs. What cannot be seen is `Unknown` in the answer, never missing.
    async fn observe(&mut self, desired: &Desired) -> Observed;

    /// Carries out one action. A run that dies in the middle of it must be finished by the next one.
    ///
    /// # Errors
    /// Whatever stood in the way, with the object it happened to.
    async fn execute(
        &mut self,
        desired: &Desired,
        action: &Action,
        deadline: Instant,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), StepError>;

    /// Whether a manifest was dropped since the run began, or the run was asked to stop.
    fn new_input(&mut self) -> bool;
}
