//! `quorate check FILE`: everything that can be said of a manifest without a host, in one pass.

use super::{Exit, report};
use crate::manifest::succession;
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `quorate check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The manifest, or '-' for standard input
    #[arg(value_name = "FILE", default_value = "manifest.yaml")]
    file: PathBuf,
    /// The manifest in force: also tell whether a host that has it would accept this one
    #[arg(long, value_name = "OLD")]
    against: Option<PathBuf>,
    /// Print the findings as JSON, for editors and CI
    #[arg(long)]
    json: bool,
}

/// Checks a manifest and prints all findings.
///
/// # Errors
/// When the file cannot be read.
pub fn run(args: &CheckArgs) -> Result<Exit> {
    let (_, parsed) = report::manifest(&args.file)?;
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(findings) => return Ok(report::refuse(&findings, args.json)),
    };
    let manifest = &parsed.manifest;
    if let Some(old) = &args.against {
        let before = match report::manifest(old)?.1 {
            Ok(before) => before.manifest,
            Err(findings) => return Ok(report::refuse(&findings, args.json)),
        };
        if let Err(why) = succession::follows(&before, manifest) {
            if args.json {
                report::print_json(&json!({ "verdict": Exit::Refused.to_string(), "why": why }));
                return Ok(Exit::Refused);
            }
            return Err(anyhow!("'{}' may not follow '{}': {why}", args.file.display(), old.display()))
                .context(Exit::Refused);
        }
    }
    if args.json {
        report::print_json(&json!({
            "verdict": Exit::Fine.to_string(),
            "findings": parsed.warnings.to_json(),
            "cluster": manifest.name,
            "clusterId": manifest.cluster_id,
            "generation": manifest.generation,
            "digest": manifest.digest,
            "masters": manifest.masters.len(),
            "mayBeLost": crate::quorum::tolerance(manifest.masters.len()),
        }));
        return Ok(Exit::Fine);
    }
    report::print(&parsed.warnings);
    let masters = manifest.masters.len();
    println!(
        "{}: cluster '{}', generation {}, {masters} master{}, {} may be lost, digest {}",
        args.file.display(),
        manifest.name,
        manifest.generation,
        if masters == 1 { "" } else { "s" },
        crate::quorum::tolerance(masters),
        manifest.digest.short(),
    );
    Ok(Exit::Fine)
}
