//! `quorate verify FILE --trust ALLOWED_SIGNERS`: would a host with these trust files accept the signature?
//!
//! The same way as on a host: size, signature over the raw bytes, and only then the content.

use super::{Exit, report, sign};
use crate::manifest::parse::parse;
use crate::paths::Paths;
use crate::trust::clock::Clock;
use crate::trust::keyring::Keyring;
use crate::trust::policy::{self, Policy};
use crate::trust::{self, Purpose};
use anyhow::{Context, Result, anyhow};
use serde_json::json;
use std::path::PathBuf;

/// Arguments of `quorate verify`.
#[derive(Debug, clap::Args)]
pub struct VerifyArgs {
    /// The manifest
    #[arg(value_name = "FILE", default_value = "manifest.yaml")]
    file: PathBuf,
    /// Its signature file [default: FILE.sig]
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// The list of allowed signers (ssh-keygen(1)) [default: that of this host's image]
    #[arg(long, value_name = "FILE")]
    trust: Option<PathBuf>,
    /// How many different keys have to sign, at least
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=16))]
    threshold: u8,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Verifies the signature, then checks the manifest.
///
/// # Errors
/// When a file cannot be read, or the signature is not trusted.
pub fn run(args: &VerifyArgs) -> Result<Exit> {
    let file = args.file.display().to_string();
    let bytes = report::read(&args.file)?;
    let signature = args.signature.clone().unwrap_or_else(|| sign::signature_path(&args.file));
    let list = args.trust.clone().unwrap_or_else(|| Paths::default().allowed_signers());
    if args.trust.is_none() && !list.exists() {
        let missing = anyhow!(
            "this host has no '{}'; name a list of allowed signers with --trust: lines like 'ops@site ssh-ed25519 AAAA…', \
             a name and a public key",
            list.display()
        );
        return Err(missing).context(Exit::Usage);
    }
    let trusted = String::from_utf8_lossy(&report::read(&list)?).into_owned();
    let policy = policy(args)?;
    let keyring = Keyring::parse(&trusted, policy);
    if trusted.contains("PRIVATE KEY-----") {
        let private = anyhow!(
            "'{}' is a private key; --trust wants a list of public keys with names: 'ops@site ssh-ed25519 AAAA…'",
            list.display()
        );
        return Err(private).context(Exit::Usage);
    }
    // Where no line is usable, the refusal tells them all.
    for line in keyring.spoiled().iter().filter(|_| !keyring.is_empty()) {
        eprintln!("quorate: {}: {line}", list.display());
    }
    if !signature.exists() {
        let path = signature.display();
        return not_trusted(
            args,
            &anyhow!("'{file}' is not signed: there is no '{path}'; sign it with 'quorate sign'"),
        );
    }
    let signature = String::from_utf8_lossy(&report::read(&signature)?).into_owned();
    #[expect(clippy::disallowed_methods, reason = "a workstation is asked whether a host would accept it now")]
    let clock = Clock { now: jiff::Timestamp::now(), trusted: true };
    let signed = match trust::verify(bytes, &signature, &keyring, Purpose::NewInput(&clock)) {
        Ok(signed) => signed,
        Err(error) => return not_trusted(args, &anyhow::Error::new(error).context(format!("'{file}'"))),
    };
    let parsed = match parse(&file, signed.bytes.get()) {
        Ok(parsed) => parsed,
        Err(findings) => return Ok(report::refuse(&findings, args.json)),
    };
    let manifest = &parsed.manifest;
    if args.json {
        report::print_json(&json!({
            "verdict": Exit::Fine.to_string(),
            "signers": signed.signers,
            "cluster": manifest.name,
            "generation": manifest.generation,
            "digest": manifest.digest,
            "findings": parsed.warnings.to_json(),
        }));
    } else {
        report::print(&parsed.warnings);
        println!(
            "{file}: signed by {}; cluster '{}', generation {}, digest {}",
            signed.signers.join(", "),
            manifest.name,
            manifest.generation,
            manifest.digest.short()
        );
    }
    Ok(Exit::Fine)
}

/// How many have to sign: what is asked for, and on a host at least what its image demands.
fn policy(args: &VerifyArgs) -> Result<Policy> {
    let path = Paths::default().trust_policy();
    let mut policy = Policy::default();
    if args.trust.is_none() && path.exists() {
        let text = String::from_utf8_lossy(&report::read(&path)?).into_owned();
        policy = policy::parse(&path.display().to_string(), &text)?;
    }
    policy.threshold = policy.threshold.max(usize::from(args.threshold));
    Ok(policy)
}

/// Says in the asked-for form that the signature does not count.
fn not_trusted(args: &VerifyArgs, error: &anyhow::Error) -> Result<Exit> {
    if args.json {
        report::print_json(&json!({ "verdict": Exit::NotTrusted.to_string(), "why": format!("{error:#}") }));
        return Ok(Exit::NotTrusted);
    }
    Err(anyhow!("{error:#}")).context(Exit::NotTrusted)
}
