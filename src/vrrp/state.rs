//! What the daemon says of itself: a JSON document that only it writes, and that `quorate status` and the planner read.

use super::config::Fence;
use super::counters::Counted;
use super::machine::{self, Obstacle, Reason};
use crate::ident::{Digest, Vrid};
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// The daemon, at one moment. It is written at every transition and every two seconds, so an old one means that the daemon
/// is gone or stuck.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct State {
    /// Digest of the configuration file it runs.
    pub config_digest: Digest,
    /// When this was written.
    pub updated: jiff::Timestamp,
    /// What keeps a frozen daemon from answering for the VIP.
    pub fence: Fence,
    /// Why the fence is no better than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence_problem: Option<String>,
    /// How often the kernel lease was extended.
    pub fence_refreshes: u64,
    /// Probes that say this master is unhealthy.
    pub unhealthy: Vec<String>,
    /// The virtual routers, in the order of the configuration.
    pub routers: Vec<RouterState>,
    /// Datagrams that belong to none of them.
    pub unassigned: Counted,
}

/// One virtual router.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RouterState {
    /// Its id.
    pub vrid: Vrid,
    /// Its link.
    pub link: String,
    /// Its state (RFC 9568 §6.4).
    pub state: machine::State,
    /// When it came to that state.
    pub since: jiff::Timestamp,
    /// Why it did; nothing before the first transition.
    pub why: Option<Reason>,
    /// What keeps it in Initialize.
    pub obstacle: Option<Obstacle>,
    /// The priority it advertises, or would.
    pub priority: u8,
    /// The address of the Active as known here: our own, or the source of the last accepted advertisement.
    pub active: Option<IpAddr>,
    /// How often it became Active, Backup or neither.
    pub transitions: u64,
    /// The latest of them, oldest first, at most [`RECENT_KEPT`].
    #[serde(default)]
    pub recent: Vec<Transition>,
    /// The virtual addresses.
    pub addresses: Vec<IpAddr>,
    /// What was sent, received and discarded.
    pub counters: Counted,
}

/// A night of flapping, in a document that is rewritten at every transition.
pub const RECENT_KEPT: usize = 32;

/// One change of a virtual router's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Transition {
    /// When.
    pub at: jiff::Timestamp,
    /// The state before.
    pub from: machine::State,
    /// The state since.
    pub to: machine::State,
    /// Why.
    pub why: Reason,
}

/// What an observer found where the state document belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObservedState {
    /// No document: the daemon has not run yet, or stopped in order.
    Absent,
    /// The document.
    Present(Box<State>),
    /// It could not be read.
    Unknown {
        /// The error, as text.
        why: String,
    },
}
