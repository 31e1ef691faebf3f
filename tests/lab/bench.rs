//! `make bench`: what a run of `quorate reconcile` costs on a converged master, where it has nothing to do.
//!
//! It is what every master pays once a minute for the rest of its life. The limit is an empty program started in the
//! same way in the same place: no reconciler can be cheaper. Absolute times on shared machines are not stable, so the
//! ratio is what counts.

#![expect(clippy::disallowed_methods, reason = "a measurement drives real programs by the real clock")]

mod harness;

use anyhow::Context as _;
use harness::isolation::{self, Side};
use harness::master::Master;
use harness::runner::World;
use harness::{Lab, Programs, must, tree};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use serde_json::{Value, json};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

/// How often each program is run, alternating.
const RUNS: usize = 40;

/// As first argument: run the rest as a command and print what it used. A process of its own for each run, because
/// the kernel tells the peak memory of children only for all of them together.
const MEASURE: &str = "--measure";

fn main() -> anyhow::Result<ExitCode> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(MEASURE) {
        return measure(&arguments.collect::<Vec<_>>());
    }
    let programs = Programs::beside_this()?;
    match isolation::side()? {
        Side::Impossible { why } => {
            println!("SKIPPED the bench of reconcile: {why}");
            Ok(ExitCode::SUCCESS)
        }
        Side::Outside(outside) => {
            tree::ensure(&programs.lab_directory())?;
            outside.run_inside()
        }
        Side::Inside(inside) => {
            let mut lab = Lab::furnish(inside, &programs)?;
            lab.converge()?;
            let rows = rows(&lab.masters[0])?;
            println!("{}", table(&rows));
            let place = programs.bench_directory();
            std::fs::create_dir_all(&place)?;
            std::fs::write(place.join("reconcile.json"), serde_json::to_string_pretty(&rows)?)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// What one run of a program used.
#[derive(Debug, Clone, Copy)]
struct Usage {
    wall_ms: f64,
    processor_ms: f64,
    peak_mib: f64,
}

fn measure(command: &[String]) -> anyhow::Result<ExitCode> {
    let (program, arguments) = command.split_first().context("nothing to measure")?;
    let start = Instant::now();
    let output = must(Command::new(program).args(arguments).stdin(Stdio::null()))?;
    let wall_ms = start.elapsed().as_secs_f64() * 1e3;
    drop(output);
    let used = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let processor_us = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    println!("{}", json!({ "wall": wall_ms, "processor_us": processor_us, "peak_kib": used.max_rss() }));
    Ok(ExitCode::SUCCESS)
}

fn run(master: &Master, program: &str, arguments: &[&str]) -> anyhow::Result<Usage> {
    let inside = master.command(program, arguments)?;
    let mut measured = Command::new(std::env::current_exe()?);
    measured.arg(MEASURE).arg(inside.get_program()).args(inside.get_args());
    let output = must(&mut measured)?;
    let used: Value = serde_json::from_slice(&output.stdout)?;
    let figure = |name: &str| used[name].as_f64().with_context(|| format!("no '{name}' in {used}"));
    Ok(Usage {
        wall_ms: figure("wall")?,
        processor_ms: figure("processor_us")? / 1e3,
        peak_mib: figure("peak_kib")? / 1024.0,
    })
}

fn rows(master: &Master) -> anyhow::Result<Vec<Value>> {
    let (mut ours, mut limit) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(run(master, "quorate", &["reconcile"])?);
        limit.push(run(master, "true", &[])?);
    }
    let row = |name: &str, unit: &str, figure: fn(&Usage) -> f64| {
        let (ours, limit) = (median(&ours, figure), median(&limit, figure));
        json!({ "name": name, "ours": ours, "peer": null, "limit": limit, "unit": unit, "ratio": ours / limit, "runs": RUNS })
    };
    Ok(vec![
        row("reconcile with nothing to do, wall time", "ms", |usage| usage.wall_ms),
        row("reconcile with nothing to do, processor time", "ms", |usage| usage.processor_ms),
        row("reconcile with nothing to do, peak memory", "MiB", |usage| usage.peak_mib),
    ])
}

fn median(usages: &[Usage], figure: fn(&Usage) -> f64) -> f64 {
    let mut figures: Vec<f64> = usages.iter().map(figure).collect();
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn table(rows: &[Value]) -> String {
    let line = |row: &Value| {
        let [ours, limit, ratio] = ["ours", "limit", "ratio"].map(|name| row[name].as_f64().unwrap_or(f64::NAN));
        let [name, unit] = ["name", "unit"].map(|name| row[name].as_str().unwrap_or_default());
        format!("{name:<46} {ours:>9.2} {limit:>13.2} {unit:<4} {ratio:>6.1}")
    };
    let head = format!(
        "{:<46} {:>9} {:>13} {:<4} {:>6}",
        "median of 40 runs on a converged master", "quorate", "empty program", "", "ratio"
    );
    std::iter::once(head).chain(rows.iter().map(line)).collect::<Vec<_>>().join("\n")
}
