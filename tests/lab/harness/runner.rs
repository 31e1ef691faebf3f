//! Runs scenarios in order in one world, and reports in the form of cargo's own test runner.

use super::Programs;
use super::isolation::{self, Inside, Side};
use std::process::ExitCode;
use std::time::Instant;

/// A scenario with its name.
pub type Named<World> = (&'static str, fn(&mut World) -> anyhow::Result<()>);

/// What the scenarios run in.
pub trait World: Sized {
    /// What needs the network or takes long, on the host.
    fn prepare(programs: &Programs) -> anyhow::Result<()>;
    /// The world itself, inside the walls.
    fn furnish(inside: Inside, programs: &Programs) -> anyhow::Result<Self>;
    /// What there is to look at when a scenario failed.
    fn evidence(&mut self) -> String;
}

/// The whole test program: runs the scenarios whose name contains one of the arguments, or all.
pub fn main<W: World>(scenarios: &[Named<W>]) -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        scenarios.iter().for_each(|(name, _)| println!("{name}: test"));
        return Ok(ExitCode::SUCCESS);
    }
    let wanted: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let chosen: Vec<Named<W>> = scenarios
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|part| name.contains(*part)))
        .copied()
        .collect();
    let filtered = scenarios.len() - chosen.len();
    if chosen.is_empty() {
        println!("\ntest result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; {filtered} filtered out");
        return Ok(ExitCode::SUCCESS);
    }
    let programs = Programs::beside_this()?;
    match isolation::side()? {
        Side::Impossible { why } => {
            chosen.iter().for_each(|(name, _)| println!("test {name} ... ignored, SKIPPED: {why}"));
            let ignored = chosen.len();
            println!("\ntest result: ok. 0 passed; 0 failed; {ignored} ignored; 0 measured; {filtered} filtered out");
            Ok(ExitCode::SUCCESS)
        }
        Side::Outside(outside) => {
            W::prepare(&programs)?;
            outside.run_inside()
        }
        Side::Inside(inside) => run(&chosen, filtered, W::furnish(inside, &programs)?),
    }
}

fn run<W: World>(chosen: &[Named<W>], filtered: usize, mut world: W) -> anyhow::Result<ExitCode> {
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for (name, scenario) in chosen {
        let start = Instant::now();
        let outcome = scenario(&mut world);
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Ok(()) => println!("test {name} ... ok ({seconds:.1} s)"),
            Err(error) => {
                failed += 1;
                println!("test {name} ... FAILED ({seconds:.1} s)\n{error:#}\n{}", world.evidence());
            }
        }
    }
    let passed = chosen.len() - failed;
    let word = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {word}. {passed} passed; {failed} failed; 0 ignored; 0 measured; {filtered} filtered out");
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Lists scenarios under their own names.
macro_rules! scenarios {
    ($($file:ident::$name:ident,)*) => { &[$((stringify!($name), $file::$name)),*] };
}
pub(crate) use scenarios;
