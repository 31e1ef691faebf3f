//! `quorate pki init|issue`: the cluster CA and the masters' bundles, made on the workstation.

use super::{Exit, report};
use crate::manifest::{Manifest, Master};
use crate::pki::bundle::{Expected, fingerprint};
use crate::pki::issue::Authority;
use crate::pki::profile;
use crate::pki::workshop::Workshop;
use anyhow::{Context, Result};
use jiff::Timestamp;
use serde_json::json;
use std::path::PathBuf;

/// A certificate with less than this left is issued anew; status starts to warn at the same time.
const RENEW_WITHIN_D: i64 = 30;

/// Arguments of `quorate pki`.
#[derive(Debug, clap::Args)]
pub struct PkiArgs {
    #[command(subcommand)]
    verb: PkiVerb,
}

#[derive(Debug, clap::Subcommand)]
enum PkiVerb {
    /// Make the cluster CA, once per cluster
    Init(InitArgs),
    /// Issue a key and certificate to every master of a manifest that has none, or whose certificate ends soon
    Issue(IssueArgs),
}

#[derive(Debug, clap::Args)]
struct InitArgs {
    /// Where to keep it; the private key stays there
    #[arg(long, value_name = "DIR", default_value = "pki")]
    dir: PathBuf,
}

#[derive(Debug, clap::Args)]
struct IssueArgs {
    /// The manifest that names the masters and the VIP
    #[arg(value_name = "MANIFEST")]
    manifest: PathBuf,
    /// Where the cluster CA is kept
    #[arg(long, value_name = "DIR", default_value = "pki")]
    dir: PathBuf,
    /// Issue to every master, also where a good certificate exists
    #[arg(long)]
    renew: bool,
    /// Report as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the verb.
///
/// # Errors
/// When the directory or the manifest cannot be used.
pub fn run(args: &PkiArgs) -> Result<Exit> {
    match &args.verb {
        PkiVerb::Init(args) => init(args),
        PkiVerb::Issue(args) => issue(args),
    }
}

fn init(args: &InitArgs) -> Result<Exit> {
    let workshop = Workshop::at(&args.dir);
    let authority = Authority::create(&profile::authority(now()))?;
    workshop.keep_authority(&authority).context(Exit::Usage)?;
    println!("made the cluster CA {}", workshop.ca().display());
    println!(
        "pin it in the manifest:  spec: {{ pki: {{ ca: \"sha256:{}\" }} }}",
        fingerprint(authority.certificate())?
    );
    Ok(Exit::Fine)
}

fn issue(args: &IssueArgs) -> Result<Exit> {
    let (_, parsed) = report::manifest(&args.manifest)?;
    let manifest = match parsed {
        Ok(parsed) => parsed.manifest,
        Err(findings) => return Ok(report::refuse(&findings, args.json)),
    };
    let workshop = Workshop::at(&args.dir);
    let authority = workshop.authority().context(Exit::Usage)?;
    let found = fingerprint(authority.certificate())?;
    if let Some(pinned) = manifest.ca.filter(|pinned| *pinned != found) {
        return Err(anyhow::anyhow!(
            "the manifest pins the CA sha256:{pinned}, '{}' is sha256:{found}: use the cluster's own directory",
            workshop.ca().display()
        ))
        .context(Exit::Refused);
    }
    let mut rows = Vec::new();
    for master in &manifest.masters {
        let issued = args.renew || needs_one(&workshop, &manifest, master)?;
        let path = workshop.bundle(&master.name);
        if issued {
            let bundle = authority.issue(&profile::node(&manifest, master, now()))?;
            workshop.keep_bundle(&master.name, &bundle)?;
        }
        let word = if issued { "issued" } else { "kept" };
        if !args.json {
            println!("{word:<7} {}  {}", master.name, path.display());
        }
        rows.push(json!({ "master": master.name, "did": word, "bundle": path }));
    }
    if args.json {
        report::print_json(&json!({ "ca": found, "masters": rows }));
    } else {
        println!("drop each file as 'node.pem' on its own master and nowhere else; it holds a private key");
    }
    Ok(Exit::Fine)
}

/// Whether `master` has no bundle that will serve for a while yet under this CA.
fn needs_one(workshop: &Workshop, manifest: &Manifest, master: &Master) -> Result<bool> {
    let Some(Ok(bundle)) = workshop.issued(&master.name)? else { return Ok(true) };
    let expected = Expected { name: master.name.as_str(), address: master.address, ca: manifest.ca };
    let soon = now().checked_add(jiff::Span::new().hours(RENEW_WITHIN_D * 24))?;
    Ok(!bundle.faults(&expected, soon).is_empty())
}

#[expect(clippy::disallowed_methods, reason = "a face: it hands the time to the profiles")]
fn now() -> Timestamp {
    Timestamp::now()
}
