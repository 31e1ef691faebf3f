//! Units as plans speak of them: which ones quorate keeps, what state they were seen in, what is done to them.

pub mod bus;
pub mod plan;

use serde::{Deserialize, Serialize};
use std::fmt;

/// The services that a plan starts, stops and reloads. The reconcile units themselves are enabled by preset
/// and are nobody's plan: a reconciler that restarted itself would cut its own run short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// The VRRP daemon.
    Vrrpd,
    /// The etcd member.
    Etcd,
}

impl Unit {
    /// Every unit there is to observe.
    pub const ALL: [Unit; 2] = [Unit::Vrrpd, Unit::Etcd];

    /// The name systemd knows it by.
    pub fn name(self) -> &'static str {
        match self {
            Unit::Vrrpd => "quorate-vrrpd.service",
            Unit::Etcd => "quorate-etcd.service",
        }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What systemd said of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum UnitState {
    /// systemd knows no such unit: the image is incomplete.
    Missing,
    /// Not running, and no failure is recorded.
    Inactive,
    /// A job is on its way up or down.
    Changing,
    /// Running.
    Active,
    /// It gave up; `result` is systemd's word, such as `exit-code` or `start-limit-hit`.
    Failed {
        /// The unit's `Result` property.
        result: String,
    },
    /// systemd could not be asked.
    Unknown {
        /// The error, as text.
        why: String,
    },
}

/// What is done to a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// Start it and wait until it is up.
    Start,
    /// Forget its recorded failure, then start it.
    ResetAndStart,
    /// Let it read its configuration again.
    Reload,
    /// Stop it and wait until it is down.
    Stop,
}

/// One action on one unit; done when systemd reports the job finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitAction {
    /// Which unit.
    pub unit: Unit,
    /// What is done.
    pub verb: Verb,
}

impl fmt::Display for UnitAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.verb {
            Verb::Start => "start",
            Verb::ResetAndStart => "reset the failure of and start",
            Verb::Reload => "reload",
            Verb::Stop => "stop",
        };
        write!(f, "{verb} {}", self.unit)
    }
}
