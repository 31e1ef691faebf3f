//! quorate-vrrpd on one link with the VRRP daemons it replaces or meets: keepalived and FRR's vrrpd, the real ones.
//!
//! Every test runs its daemons in network namespaces of its own (`tests/wire`) and judges what the switch between them saw. What is asserted
//! is the outcome: who advertises, who answers for the address. Limits of time only keep a failed test from hanging; they
//! are not measurements, which are the bench's.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

#[path = "../wire/mod.rs"]
mod wire;

mod both_ways;
mod frr;
mod keepalived;
mod migration;
mod scene;
