//! `quorate completions SHELL`: the completion script, from the same definitions as `--help`.

use super::{Cli, Exit};
use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;

/// Arguments of `quorate completions`.
#[derive(Debug, clap::Args)]
pub struct CompletionsArgs {
    /// For which shell
    shell: Shell,
}

/// Prints the script.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &CompletionsArgs) -> Result<Exit> {
    std::io::stdout().write_all(&script(args.shell)).context("cannot write to standard output")?;
    Ok(Exit::Fine)
}

/// The script for one shell.
pub fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "quorate", &mut script);
    script
}
