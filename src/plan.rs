//! The words every planner answers in: ordered steps, and everything that is not done with its reason.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The parts of a host that quorate keeps, in the order in which they are planned and shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// What was dropped, who signed it, what is accepted.
    Manifest,
    /// Node key and certificate.
    Pki,
    /// The link that carries the VIP.
    Network,
    /// The virtual router and its daemon.
    Vrrp,
    /// The etcd member.
    Etcd,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Part::Manifest => "manifest",
            Part::Pki => "pki",
            Part::Network => "network",
            Part::Vrrp => "vrrp",
            Part::Etcd => "etcd",
        })
    }
}

/// One concrete, idempotent action and the reason for it; nothing is left to choose at execution.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step<A> {
    /// What will be done.
    pub action: A,
    /// Which field of the manifest, or which fact about the host, asks for it.
    pub why: String,
}

/// Why something was not planned: a refusal stays until somebody changes something, a wait ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hold {
    /// Something named is on its way; the next run looks again.
    Waiting,
    /// It would be unsafe or is impossible as the manifest and the host stand.
    Refused,
}

/// Something that is not done, with its reason and what unblocks it. Shown by `plan`, `status` and metrics.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Blocked {
    /// The part of the host it concerns.
    pub part: Part,
    /// Whether it ends by itself.
    pub hold: Hold,
    /// What is not done, for example `start etcd`.
    pub what: String,
    /// The fact that stands in the way.
    pub why: String,
    /// What an administrator does about it, or what is awaited.
    pub unblock: String,
}

/// What a planner decided for one subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan<A> {
    /// In the order of execution.
    pub steps: Vec<Step<A>>,
    /// Everything that was asked for and is not among the steps.
    pub blocked: Vec<Blocked>,
}

impl<A> Default for Plan<A> {
    fn default() -> Self {
        Self { steps: Vec::new(), blocked: Vec::new() }
    }
}

impl<A> Plan<A> {
    /// Nothing to do and nothing in the way: the host is as desired.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.blocked.is_empty()
    }

    /// Adds a step at the end.
    pub fn step(&mut self, action: A, why: impl Into<String>) {
        self.steps.push(Step { action, why: why.into() });
    }

    /// Records something that is not done.
    pub fn block(&mut self, blocked: Blocked) {
        self.blocked.push(blocked);
    }

    /// The same plan in the words of a larger subject.
    pub fn map<B>(self, word: impl Fn(A) -> B) -> Plan<B> {
        Plan {
            steps: self.steps.into_iter().map(|step| Step { action: word(step.action), why: step.why }).collect(),
            blocked: self.blocked,
        }
    }

    /// Puts another subject's plan behind this one.
    pub fn extend(&mut self, other: Plan<A>) {
        self.steps.extend(other.steps);
        self.blocked.extend(other.blocked);
    }
}
