//! The lab tests: what issue reports call "in the lab", on three real masters.
//!
//! They share one lab and run in order, each from a state that it brings about itself, so that any of them can be run
//! alone: `cargo test --test lab -- NAME`. The output has the form of cargo's own test runner.

#![expect(clippy::disallowed_methods, reason = "a test drives real programs by the real clock")]

mod harness;
mod scenarios;

use harness::isolation::{self, Side};
use harness::{Lab, Programs, tree};
use scenarios::SCENARIOS;
use std::process::ExitCode;
use std::time::Instant;

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        SCENARIOS.iter().for_each(|(name, _)| println!("{name}: test"));
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen =
        SCENARIOS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(*part)));
    let chosen: Vec<_> = chosen.copied().collect();
    let programs = Programs::beside_this()?;
    match isolation::side()? {
        Side::Impossible { why } => {
            for (name, _) in &chosen {
                println!("test {name} ... ignored\nSKIPPED {name}: {why}");
            }
            println!("\ntest result: ok. 0 passed; 0 failed; {} ignored; 0 measured; 0 filtered out", chosen.len());
            Ok(ExitCode::SUCCESS)
        }
        Side::Outside(outside) => {
            tree::ensure(&programs.lab_directory())?;
            outside.run_inside()
        }
        Side::Inside(inside) => run(&chosen, Lab::furnish(inside, &programs)?),
    }
}

fn run(chosen: &[scenarios::Named], mut lab: Lab) -> anyhow::Result<ExitCode> {
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, scenario) in chosen {
        let start = Instant::now();
        let outcome = scenario(&mut lab);
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("test {name} ... ok ({seconds:.1} s)"),
            Err(error) => {
                failed += 1;
                println!("test {name} ... FAILED ({seconds:.1} s)\n{error:?}\n{}", lab.evidence());
            }
        }
    }
    let passed = chosen.len() - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    let filtered = SCENARIOS.len() - chosen.len();
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
