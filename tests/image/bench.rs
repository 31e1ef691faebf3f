//! `cargo bench --bench image`: what quorate costs in an image, and how long a machine takes from power on to converged.
//!
//! Bytes are exact. Times are those of a machine without KVM, where each instruction of the guest is worked out one at a time:
//! they bound what metal needs, and are compared only with each other.

#![expect(clippy::disallowed_methods, reason = "a measurement drives real programs by the real clock")]
#![allow(dead_code, reason = "the tests of the image use the rest of their world")]

mod cluster;
#[path = "../lab/harness/mod.rs"]
mod harness;
mod machine;
mod serial;
mod versions;
mod world;

use anyhow::Context as _;
use harness::isolation::{self, Side};
use harness::runner::World as _;
use harness::{Programs, must};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;
use world::Image;

/// Both programs together, in MB.
const PROGRAMS_AT_MOST: f64 = 12.0;

/// How often a master is powered on.
const BOOTS: usize = 3;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/benchmarks.md");
/// The table stands between these two.
const BEGIN: &str = "<!-- image: written by cargo bench --bench image -- --publish -->\n";
const END: &str = "<!-- image: end -->\n";

fn main() -> anyhow::Result<ExitCode> {
    let programs = Programs::beside_this()?;
    match isolation::side()? {
        Side::Impossible { why } => {
            println!("SKIPPED the bench of the image: {why}");
            Ok(ExitCode::SUCCESS)
        }
        Side::Outside(outside) => {
            // The tools, and the packages, are there before the clock starts.
            Image::prepare(&programs)?;
            let start = Instant::now();
            let different = versions::build_again(&programs)?;
            fs::write(built(&programs), json!([start.elapsed().as_secs_f64(), different]).to_string())?;
            outside.run_inside()
        }
        Side::Inside(inside) => {
            let mut image = Image::furnish(inside, &programs)?;
            let mut rows = bytes(&programs, &image.work)?;
            let (seconds, different): (f64, Vec<String>) =
                serde_json::from_str(&fs::read_to_string(built(&programs))?)?;
            rows.push(row("build of the disk image, packages at hand", &[seconds], "s", None));
            println!("differs from the build before: {different:?}");
            rows.push(row("files that a second build makes otherwise", &[different.len() as f64], "", Some(0.0)));
            rows.extend(times(&mut image)?);
            let table = table(&rows);
            println!("{table}");
            fs::create_dir_all(programs.bench_directory())?;
            fs::write(programs.bench_directory().join("image.json"), serde_json::to_string_pretty(&rows)?)?;
            if std::env::args().any(|argument| argument == "--publish") {
                publish(&table)?;
            }
            Ok(if rows.iter().all(reached) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
    }
}

/// Tells the inside how many seconds the build took, and what it made otherwise.
fn built(programs: &Programs) -> PathBuf {
    versions::directory(programs).join("built.json")
}

/// What `quorate install` adds to an empty tree.
fn bytes(programs: &Programs, work: &Path) -> anyhow::Result<Vec<Value>> {
    let tree = work.join("empty");
    fs::create_dir_all(tree.join("usr/lib"))?;
    fs::write(tree.join("usr/lib/os-release"), "ID=empty\n")?;
    let bare = versions::release(programs).join("quorate");
    let trust = versions::directory(programs).join("desk/allowed_signers");
    must(Command::new(bare).arg("install").arg("--root").arg(&tree).arg("--trust").arg(trust))?;
    let all = size(&tree)?;
    let both = size(&tree.join("usr/bin/quorate"))? + size(&tree.join("usr/lib/quorate/quorate-vrrpd"))?;
    Ok(vec![
        row("both programs", &[megabytes(both)], "MB", Some(PROGRAMS_AT_MOST)),
        row("everything that quorate adds to the image", &[megabytes(all)], "MB", None),
    ])
}

fn size(path: &Path) -> anyhow::Result<u64> {
    let about = fs::symlink_metadata(path)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    fs::read_dir(path)?.map(|entry| size(&entry?.path())).sum()
}

fn times(image: &mut Image) -> anyhow::Result<Vec<Value>> {
    image.sign_manifest()?;
    let start = Instant::now();
    image.converge()?;
    let first = start.elapsed().as_secs_f64();
    let (mut shells, mut converged) = (Vec::new(), Vec::new());
    for _ in 0..BOOTS {
        image.machine.cut_power()?;
        let start = Instant::now();
        shells.push(image.machine.boot()?.as_secs_f64());
        image.await_converged()?;
        converged.push(start.elapsed().as_secs_f64());
    }
    Ok(vec![
        row("power on of an empty disk to the first formation of three", &[first], "s", None),
        row("power on after a power cut to a root shell", &shells, "s", None),
        row("power on after a power cut to converged", &converged, "s", None),
    ])
}

#[expect(clippy::cast_precision_loss, reason = "a size in MB with two digits")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn row(name: &str, values: &[f64], unit: &str, limit: Option<f64>) -> Value {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    let most = sorted[sorted.len() - 1];
    json!({ "name": name, "ours": median, "max": most, "peer": null, "limit": limit, "unit": unit, "ratio": null, "runs": values.len() })
}

/// Whether a row stays within its limit, if it has one.
fn reached(row: &Value) -> bool {
    row["limit"].as_f64().is_none_or(|limit| row["max"].as_f64().is_some_and(|most| most <= limit))
}

fn table(rows: &[Value]) -> String {
    let mut text =
        String::from("| measured | unit | must reach | median / maximum | runs | |\n|---|---|---|---|---|---|\n");
    for row in rows {
        let number = |key: &str| row[key].as_f64().map_or_else(String::new, |value| format!("{value:.1}"));
        let limit = row["limit"].as_f64().map_or_else(String::new, |limit| format!("≤ {limit:.1}"));
        let verdict = if row["limit"].is_null() {
            ""
        } else if reached(row) {
            "reached"
        } else {
            "MISSED"
        };
        let (name, unit) = (row["name"].as_str().unwrap_or_default(), row["unit"].as_str().unwrap_or_default());
        let (median, most) = (number("ours"), number("max"));
        text += &format!("| {name} | {unit} | {limit} | {median} / {most} | {} | {verdict} |\n", row["runs"]);
    }
    text
}

/// Puts the table where it is read.
fn publish(table: &str) -> anyhow::Result<()> {
    let page = fs::read_to_string(PAGE)?;
    let (before, rest) =
        page.split_once(BEGIN).context("spec/benchmarks.md has no place for the table of the image")?;
    let (_, after) = rest.split_once(END).context("the table of the image in spec/benchmarks.md has no end")?;
    Ok(fs::write(PAGE, format!("{before}{BEGIN}\n{table}\n{END}{after}"))?)
}
