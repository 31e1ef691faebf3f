//! The virtual router that holds the VIP: RFC 9568 (VRRPv3), RFC 3768 (VRRPv2), and what keeps two hosts from answering for one address.
//!
//! | file | what |
//! |---|---|
//! | [`time`], [`packet`], [`machine`], [`announce`] | the protocol, without I/O |
//! | [`config`], [`derive`], [`state`], [`counters`] | the documents between reconciler and daemon |
//! | [`plan`] | what the reconciler does about the daemon |
//! | [`driver`] | the daemon's loop, over [`links`] and [`router`] |
//! | [`fence`] | the kernel lease that lets go of the VIP when the daemon cannot |
//! | [`health`] | whether this master is fit to hold the VIP |
//! | [`socket`], [`netlink`], [`address`] | the kernel |
//! | [`keeper`], [`lease`], [`watch`], [`scribe`], [`fact`] | the threads beside the loop, and how they talk |
//! | [`release`], [`guard`] | what is left to do when the daemon died, and who does it at once |
//!
//! Invariants: a datagram that fails a check changes no state and no timer. The loop waits for nothing but epoll. The VIP has one
//! writer, this daemon. `unsafe` is in [`socket`] alone.

pub mod address;
pub mod announce;
pub mod config;
pub mod counters;
pub mod derive;
pub mod driver;
pub mod fact;
pub mod fence;
pub mod guard;
pub mod health;
pub mod keeper;
pub mod lease;
pub mod links;
pub mod machine;
pub mod netlink;
pub mod packet;
pub mod plan;
pub mod release;
pub mod router;
pub mod scribe;
pub mod socket;
pub mod state;
pub mod time;
pub mod watch;

use crate::file::{ObservedFile, RenderedFile};
use crate::systemd::{UnitAction, UnitState};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the manifest asks of this host's virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// The daemon's configuration, as rendered from [`config::Config`].
    pub config: RenderedFile,
}

/// What was seen of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The file where the configuration belongs.
    pub config_file: ObservedFile,
    /// The daemon's unit.
    pub unit: UnitState,
    /// What the daemon says of itself.
    pub state: state::ObservedState,
}

/// What is done about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Write the daemon's configuration.
    WriteConfig(RenderedFile),
    /// Start, reload or stop the daemon.
    Unit(UnitAction),
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::WriteConfig(file) => write!(f, "write {}", file.path.display()),
            Action::Unit(action) => action.fmt(f),
        }
    }
}
