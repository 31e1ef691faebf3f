//! `quorate diff OLD NEW`: what the new manifest will do to the cluster, in which order, and what it risks.

use super::{Exit, report};
use crate::manifest::Manifest;
use crate::manifest::change::{self, Effect};
use crate::manifest::succession;
use anyhow::Result;
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `quorate diff`.
#[derive(Debug, clap::Args)]
pub struct DiffArgs {
    /// The manifest in force
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The manifest that shall follow it
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Tells what changes, and whether a host would accept it.
///
/// # Errors
/// When a file cannot be read.
pub fn run(args: &DiffArgs) -> Result<Exit> {
    let (_, before) = report::manifest(&args.old)?;
    let (_, after) = report::manifest(&args.new)?;
    let (before, after) = match (before, after) {
        (Ok(before), Ok(after)) => (before.manifest, after.manifest),
        (Err(findings), _) | (_, Err(findings)) => return Ok(report::refuse(&findings, args.json)),
    };
    let effects = change::effects(&before, &after);
    let verdict = succession::follows(&before, &after);
    let exit = if verdict.is_ok() { Exit::Fine } else { Exit::Refused };
    if args.json {
        report::print_json(&json!({
            "verdict": exit.to_string(),
            "why": verdict.as_ref().err(),
            "from": before.generation,
            "to": after.generation,
            "effects": effects,
        }));
        return Ok(exit);
    }
    print(&before, &after, &effects);
    if let Err(why) = verdict {
        println!("\nrefused: {why}");
    }
    Ok(exit)
}

fn print(before: &Manifest, after: &Manifest, effects: &[Effect]) {
    println!("cluster '{}', generation {} -> {}", after.name, before.generation, after.generation);
    if effects.is_empty() {
        println!("nothing changes for the cluster");
    }
    for (number, effect) in (1..).zip(effects) {
        println!("\n{number}. {}: {}", effect.part, effect.what);
        println!("   then: {}", effect.then);
        if let Some(risk) = &effect.risk {
            println!("   risk: {risk}");
        }
    }
}
