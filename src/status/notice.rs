//! What each master tells the others through etcd at the end of a run, so that status on any of them shows all.
//!
//! A notice stands under a lease: a master that stops running reconcile falls silent by itself. It is news, not
//! evidence: no plan rests on it.

use super::{Phase, Status, VrrpRole};
use crate::ident::{Digest, Generation};
use serde::{Deserialize, Serialize};

/// One master's notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// When it was given, by that master's clock.
    pub at: jiff::Timestamp,
    /// How far that master is.
    pub phase: Phase,
    /// The generation it runs.
    pub generation: Generation,
    /// The bytes of that generation.
    pub digest: Digest,
    /// Its part in the virtual router at that moment.
    pub vrrp: VrrpRole,
}

impl Notice {
    /// What `status` says of its own host; nothing where it is no master.
    pub fn of(status: &Status) -> Option<Self> {
        let host = status.host.as_ref()?;
        let manifest = status.manifest.as_ref()?;
        let own = status.masters.iter().find(|master| master.name == *host)?;
        Some(Self {
            at: status.at,
            phase: status.phase,
            generation: manifest.generation,
            digest: manifest.digest,
            vrrp: own.vrrp,
        })
    }
}
