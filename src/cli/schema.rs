//! `quorate schema`: the JSON Schema of a manifest, for editors, and of what the program prints, for programs.

use super::{Exit, report};
use anyhow::Result;

/// Arguments of `quorate schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {
    /// Of what
    #[arg(value_enum, default_value_t = Of::Manifest)]
    of: Of,
}

/// What has a schema.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Of {
    /// A manifest, for editors
    Manifest,
    /// 'quorate plan --json'
    Plan,
    /// 'quorate status --json'
    Status,
}

/// Prints the schema.
///
/// # Errors
/// None of its own.
pub fn run(args: &SchemaArgs) -> Result<Exit> {
    match args.of {
        Of::Manifest => report::print_json(&crate::manifest::schema::schema()),
        Of::Plan => print!("{}", include_str!("../../spec/plan.schema.json")),
        Of::Status => print!("{}", include_str!("../../spec/status.schema.json")),
    }
    Ok(Exit::Fine)
}
