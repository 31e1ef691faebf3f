//! quorate keeps every master of a BareOS cluster in the state that one signed manifest describes,
//! and refuses what could cost the cluster its quorum.
//!
//! The floors, top to bottom; a module imports only from floors below its own, or from a neighbour
//! that `tests/floors.rs` names:
//!
//! | floor | modules | may do |
//! |---|---|---|
//! | 4 faces | `main`, `bin/*`, [`cli`] | parse arguments, print, exit |
//! | 3 shells | [`reconcile`], [`vrrp::driver`] | drive decisions against the world |
//! | 2 drivers | files named for the world they touch (`kernel`, `bus`, `client`, `store`, `socket`, …) | I/O, nothing to decide |
//! | 1 decisions | every other file | pure: values and time in, values out |
//! | 0 words | [`ident`], [`plan`], [`file`], [`paths`], [`message`], [`version`] | name things |
//!
//! Invariants that hold everywhere:
//! - Only a [`trust::Verified`] manifest can become a desired state.
//! - A decision reads no clock and does no I/O; all it needs is in its arguments.
//! - What is not done is data too: [`plan::Blocked`] says what, why, and what unblocks it.
//! - Unknown is a value of its own and is never treated as absent.

pub mod cli;
pub mod durable;
pub mod etcd;
pub mod file;
pub mod ident;
pub mod image;
pub mod journal;
pub mod manifest;
pub mod message;
pub mod network;
pub mod paths;
pub mod pki;
pub mod plan;
pub mod quorum;
pub mod reconcile;
pub mod report;
pub mod status;
pub mod systemd;
pub mod tls;
pub mod trust;
pub mod version;
pub mod vrrp;
pub mod yaml;
