//! `quorate schema`: the JSON Schema of a manifest, for editors.

use super::{Exit, report};
use anyhow::Result;

/// Arguments of `quorate schema`.
#[derive(Debug, clap::Args)]
pub struct SchemaArgs {}

/// Prints the schema.
///
/// # Errors
/// None of its own.
pub fn run(_: &SchemaArgs) -> Result<Exit> {
    report::print_json(&crate::manifest::schema::schema());
    Ok(Exit::Fine)
}
