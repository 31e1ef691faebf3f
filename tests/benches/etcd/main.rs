//! What quorate costs around etcd, in one run, beside etcd by itself.
//!
//! `cargo bench --bench etcd` measures the first formation in the lab (three systemd containers, from the drop), in turns with
//! three bare etcd processes that are configured by hand; and the longest time in which a client writes nothing
//! while a dead master is replaced, beside one election of a leader. It prints a table and writes `target/bench/etcd.json`;
//! `--publish` puts the table into spec/benchmarks.md.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, dead_code, reason = "a bench")]

#[path = "../../lab/harness/mod.rs"]
mod harness;
#[path = "../../etcd/host.rs"]
mod host;
#[path = "../../etcd/world.rs"]
mod world;
#[path = "../../etcd/writer.rs"]
mod writer;

mod containers;
mod loopback;
mod report;

use clap::Parser;
use harness::isolation::{self, Side};
use harness::runner::World as _;
use harness::{Lab, Programs};
use report::Row;
use std::process::ExitCode;

/// etcd with quorate beside etcd by itself.
#[derive(Debug, Parser)]
struct Options {
    /// Runs of each kind.
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// Also rewrite the table of spec/benchmarks.md.
    #[arg(long)]
    publish: bool,
    /// Passed by cargo.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let programs = Programs::beside_this()?;
    let rows = match isolation::side()? {
        Side::Impossible { why } => {
            println!("SKIPPED etcd: {why}");
            return Ok(ExitCode::SUCCESS);
        }
        Side::Outside(outside) => {
            Lab::prepare(&programs)?;
            // Fetched here: inside there is no network.
            if let Err(why) = world::etcd(world::NEWEST) {
                println!("SKIPPED etcd: {why}");
                return Ok(ExitCode::SUCCESS);
            }
            return outside.run_inside();
        }
        Side::Inside(inside) => {
            let mut rows: Vec<Row> = Vec::new();
            let mut lab = Lab::furnish(inside, &programs)?;
            rows.push(containers::formation(&mut lab, options.runs)?);
            drop(lab);
            rows.extend(loopback::rows(options.runs));
            rows
        }
    };
    print!("\n{}", report::table(&rows));
    report::write_json(&programs.bench_directory(), &rows)?;
    if options.publish {
        report::publish(&rows)?;
    }
    let missed = rows.iter().any(Row::is_missed);
    Ok(if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
