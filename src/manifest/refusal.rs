//! Of which kind the reason is for which a manifest is not followed.

use serde::Serialize;

/// The kinds of reasons, from the one that has to be repaired first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// It cannot be read or no trusted key signed it (exit code 5).
    NotTrusted,
    /// It is signed and has errors (exit code 6).
    Invalid,
    /// It is valid, and following it could cost the cluster its quorum (exit code 3).
    Unsafe,
    /// It is older than what is in force, or expired: usual for a drop that nobody took away, and nothing to repair.
    Stale,
    /// It cannot be reached now, and is looked for again: says nothing about what is in force.
    Awaited,
}

impl Class {
    /// Whether somebody has to do something about it.
    pub fn needs_repair(self) -> bool {
        !matches!(self, Class::Stale | Class::Awaited)
    }
}
