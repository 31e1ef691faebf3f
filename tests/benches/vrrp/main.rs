//! Measures quorate-vrrpd beside keepalived: the same faults, intervals, priorities and scheduling, alternating in one run.
//!
//! `cargo bench --bench vrrp` prints a table and writes `target/bench/vrrp.json`. Each failover has a lab of its own: two hosts on a
//! switch, watched from the switch (`tests/wire`). Where a failover takes seconds, several labs run side by side: they wait, mostly.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]
#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has nothing to report")]

#[path = "../../wire/mod.rs"]
mod wire;

mod cadence;
mod calm;
mod failover;
mod garbage;
mod load;
mod publish;
mod quiet;
mod reload;
mod removed;
mod report;
mod statistics;
mod suite;
mod timeline;

use clap::Parser;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;
use wire::world::{self, Place};

/// Where the rows go.
const JSON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench/vrrp.json");

/// VRRP failovers of quorate-vrrpd beside keepalived.
#[derive(Debug, Parser)]
struct Options {
    /// Failovers per daemon and cell.
    #[arg(long, default_value_t = 20)]
    runs: usize,
    /// Only the cells whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
    /// Also rewrite the table of spec/benchmarks.md and the picture spec/failover.svg.
    #[arg(long)]
    publish: bool,
    /// Measure how long this processor stands still, until killed.
    #[arg(long, hide = true)]
    meter: bool,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.meter {
        calm::meter();
    }
    if !world::installed("keepalived") {
        println!("SKIPPED vrrp: 'keepalived' is not installed; 'make prepare' installs it");
        return ExitCode::SUCCESS;
    }
    match world::enter() {
        Place::Inside => {}
        Place::Outside(status) if status.success() => return ExitCode::SUCCESS,
        Place::Outside(_) => return ExitCode::FAILURE,
        Place::Locked { why } => {
            println!("SKIPPED vrrp: {why}");
            return ExitCode::SUCCESS;
        }
    }
    let start = Instant::now();
    let _meters = calm::Meters::start();
    let results = suite::run(options.runs, &options.only);
    print!("\n{}", report::table(&results.rows));
    let (seconds, repeated) = (start.elapsed().as_secs(), results.repeated);
    println!("\nmedian / p90 / maximum; {seconds} s, {repeated} runs repeated; {}", wire::speaker::scheduling());
    write(Path::new(JSON), &format!("{:#}\n", report::json(&results.rows)));
    if options.publish {
        publish::publish(&results);
    }
    ExitCode::SUCCESS
}

/// Writes a file of the project, and its folder where there is none.
fn write(path: &Path, text: &str) {
    std::fs::create_dir_all(path.parent().unwrap()).and_then(|()| std::fs::write(path, text)).unwrap();
}
