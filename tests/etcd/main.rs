//! Real etcd processes in a network namespace of each test's own, driven by quorate's etcd part.
//!
//! What these tests leave out is systemd: [`host::Host`] starts and kills etcd the way `quorate-etcd.service` would,
//! `Type=notify` included, and runs the loop that reconcile runs: observe, plan, execute, until the plan is empty.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod entries;
mod faults;
mod genesis;
mod host;
mod killed;
mod membership;
mod storage;
mod world;
mod writer;
