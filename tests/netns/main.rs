//! The VRRP daemon on real wires: masters in network namespaces on one switch (`tests/wire`), watched by a witness on the same switch.
//!
//! The tests assert order and outcome, never speed: bounds on time only catch what does not happen at all. They need root,
//! `ip` and `nft`; without, they say SKIPPED and why.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

#[path = "../wire/mod.rs"]
mod wire;

mod contention;
mod fence;
mod health;
mod keeping;
mod lab;
mod protocol;
mod takeover;
mod wait;
mod wall_clock;
mod witness;
