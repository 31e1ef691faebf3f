//! The VRRP daemon on real wires: masters in network namespaces on one bridge, watched by a witness on the same bridge.
//!
//! The tests assert order and outcome, never speed: bounds on time only catch what does not happen at all. They need root,
//! `ip` and `nft`; without, they say SKIPPED and why.

#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

mod contention;
mod fence;
mod health;
mod keeping;
mod lab;
mod protocol;
mod takeover;
mod wait;
mod witness;
