//! The `quorate` program: parse, run, print what went wrong once, exit.

use clap::Parser;
use quorate::cli::{Cli, Exit};
use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = Cli::parse().run().unwrap_or_else(|error| {
        // Display of an error does not repeat its source, so the chain reads as one sentence.
        eprintln!("quorate: {error:#}");
        Exit::of(&error)
    });
    exit.into()
}
