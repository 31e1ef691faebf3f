//! The lab tests: what "in the lab" means, on three real masters.
//!
//! They share one lab and run in order, each from a state that it brings about itself, so that any of them can be run
//! alone: `cargo test --test lab -- NAME`.

#![expect(clippy::disallowed_methods, reason = "a test drives real programs by the real clock")]

mod harness;
mod scenarios;
#[allow(dead_code, clippy::unwrap_used)]
#[path = "../sources/server.rs"]
mod server;

fn main() -> anyhow::Result<std::process::ExitCode> {
    harness::runner::main(scenarios::SCENARIOS)
}
