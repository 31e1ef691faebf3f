//! What verbs that read a manifest have in common: reading the file, and printing findings.

use super::Exit;
use crate::manifest::parse::{MOST_BYTES, Parsed, parse};
use crate::yaml::finding::{Findings, Look, Weight};
use anyhow::{Context, Result};
use serde_json::Value as Json;
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::Path;

/// Reads a file, `-` for standard input, up to what a manifest may have and one byte more.
///
/// # Errors
/// When it cannot be read: that is a mistake on the command line.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    let reader: Box<dyn Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        let hint = if path == Path::new("manifest.yaml") && !path.exists() {
            "; begin with 'quorate init > manifest.yaml'"
        } else {
            ""
        };
        let named = || format!("cannot open '{}'{hint}", path.display());
        Box::new(File::open(path).with_context(named).context(Exit::Usage)?)
    };
    let most = u64::try_from(MOST_BYTES)?.saturating_add(1);
    let mut bytes = Vec::new();
    reader
        .take(most)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read '{}'", path.display()))
        .context(Exit::Usage)?;
    Ok(bytes)
}

/// Reads and checks the manifest in a file.
///
/// # Errors
/// When the file cannot be read. What is wrong with its content is the inner result.
pub fn manifest(path: &Path) -> Result<(Vec<u8>, Result<Parsed, Findings>)> {
    let bytes = read(path)?;
    let parsed = parse(&path.display().to_string(), &bytes);
    Ok((bytes, parsed))
}

/// Prints findings to stderr, as a compiler does.
pub fn print(findings: &Findings) {
    let coloured = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    eprint!("{}", findings.render(if coloured { Look::Coloured } else { Look::Plain }));
}

/// Prints the findings that make a manifest unacceptable, and tells how the process ends.
pub fn refuse(findings: &Findings, json: bool) -> Exit {
    let exit = exit_of(findings);
    if json {
        print_json(&serde_json::json!({ "verdict": exit.to_string(), "findings": findings.to_json() }));
    } else {
        print(findings);
        let count = findings.list().iter().filter(|finding| finding.weight != Weight::Warning).count();
        eprintln!("quorate: {exit}: {count} finding{}", if count == 1 { "" } else { "s" });
    }
    exit
}

/// Prints one JSON document.
pub fn print_json(json: &Json) {
    println!("{json:#}");
}

/// Mistakes are named before refusals: they have to be repaired first.
fn exit_of(findings: &Findings) -> Exit {
    match findings.heaviest() {
        Some(Weight::Unsafe) => Exit::Refused,
        Some(Weight::Warning) => Exit::Fine,
        Some(Weight::Invalid) | None => Exit::Invalid,
    }
}
