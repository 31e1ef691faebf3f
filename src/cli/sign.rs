//! `quorate sign FILE --key KEY`: what `ssh-keygen -Y sign -n quorate-manifest` does, after a check.
//!
//! A manifest that a host would refuse is not signed: the refusal belongs here, where somebody can still repair it.

use super::{Exit, report};
use crate::durable;
use crate::ident::Digest;
use crate::trust::envelope::Envelope;
use crate::trust::rotation::{self, RotationError};
use crate::trust::signing::Key;
use crate::trust::{MANIFEST_NAMESPACE, TRUST_NAMESPACE};
use anyhow::{Context, Result, bail};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Arguments of `quorate sign`.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The manifest
    #[arg(value_name = "FILE", default_value = "manifest.yaml")]
    file: PathBuf,
    /// OpenSSH private key (Ed25519 or ECDSA P-256), or the '.pub' of a key that ssh-agent holds
    #[arg(long, value_name = "KEY")]
    key: PathBuf,
    /// FILE is a trust file ('kind: TrustRoot'): the keys in force and its own keys have to sign it
    #[arg(long)]
    trust_file: bool,
    /// Add a signature beside those of others
    #[arg(long)]
    append: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Checks the manifest and writes its signature file.
///
/// # Errors
/// When a file cannot be used or the key cannot sign.
pub fn run(args: &SignArgs) -> Result<Exit> {
    if args.trust_file {
        let bytes = report::read(&args.file)?;
        let file = args.file.display().to_string();
        let root = match rotation::parse(&file, &bytes) {
            Ok(root) => root,
            Err(RotationError::Invalid(findings)) => return Ok(report::refuse(&findings, args.json)),
            Err(error) => return Err(error).with_context(|| format!("'{file}'")).context(Exit::Invalid),
        };
        let (signers, needed) = (root.keyring.signers().len(), root.keyring.threshold());
        if signers < needed {
            bail!("'{file}' wants {needed} signatures and names {signers} signers; nothing could ever be accepted");
        }
        let what = json!({ "version": root.version, "digest": Digest::of(&bytes) });
        return sign(args, &bytes, TRUST_NAMESPACE, &format!("version {}", root.version), what);
    }
    let (bytes, parsed) = report::manifest(&args.file)?;
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(findings) => return Ok(report::refuse(&findings, args.json)),
    };
    let manifest = &parsed.manifest;
    let findings = parsed.warnings.to_json();
    let what = json!({ "generation": manifest.generation, "digest": manifest.digest, "findings": findings });
    if !args.json {
        report::print(&parsed.warnings);
    }
    sign(args, &bytes, MANIFEST_NAMESPACE, &format!("generation {}", manifest.generation), what)
}

/// Signs bytes that were checked, and reports.
fn sign(args: &SignArgs, bytes: &[u8], namespace: &str, which: &str, mut what: serde_json::Value) -> Result<Exit> {
    let mut key = key(&args.key)?;
    let envelope = key
        .sign(namespace, bytes)
        .with_context(|| format!("cannot sign with '{}'", args.key.display()))
        .context(Exit::Usage)?;
    let path = signature_path(&args.file);
    let mut text = beside(&path, bytes, &envelope, args.append).context(Exit::Usage)?;
    text.push_str(&envelope.to_text()?);
    durable::replace(&path, text.as_bytes(), 0o644, None)?;
    let signatures = Envelope::read_all(&text)?.len();
    if args.json {
        what["verdict"] = json!(Exit::Fine.to_string());
        what["signature"] = json!(path);
        what["signatures"] = json!(signatures);
        what["key"] = json!(envelope.fingerprint());
        report::print_json(&what);
        return Ok(Exit::Fine);
    }
    println!(
        "{}: {which}, digest {}, signed by {}{}",
        path.display(),
        Digest::of(bytes).short(),
        envelope.fingerprint(),
        if signatures > 1 { format!(", {signatures} signatures") } else { String::new() },
    );
    Ok(Exit::Fine)
}

fn key(path: &Path) -> Result<Key> {
    let bytes = report::read(path)?;
    let text = String::from_utf8(bytes).unwrap_or_default();
    Key::from_text(&text).with_context(|| format!("cannot use '{}'", path.display())).context(Exit::Usage)
}

/// Where the signature of a manifest lies.
pub fn signature_path(manifest: &Path) -> PathBuf {
    let mut path = manifest.as_os_str().to_owned();
    path.push(".sig");
    path.into()
}

/// The signatures that stay in the file. What somebody else signed is not thrown away without being told to.
fn beside(path: &Path, bytes: &[u8], ours: &Envelope, append: bool) -> Result<String> {
    if !path.exists() {
        return Ok(String::new());
    }
    let shown = path.display();
    let text = String::from_utf8(report::read(path)?).unwrap_or_default();
    let envelopes = match Envelope::read_all(&text) {
        Ok(envelopes) => envelopes,
        Err(error) if append => return Err(error).with_context(|| format!("cannot add to '{shown}'")),
        Err(_) => return Ok(String::new()),
    };
    let others = envelopes.iter().filter(|envelope| envelope.key() != ours.key());
    if append {
        if let Some(stale) = envelopes.iter().find(|envelope| !envelope.covers(bytes)) {
            bail!("'{shown}' holds a signature of other bytes by {}; sign without --append", stale.fingerprint());
        }
        let kept: std::result::Result<String, _> = others.map(Envelope::to_text).collect();
        return Ok(kept?);
    }
    if let Some(other) = others.into_iter().find(|envelope| envelope.covers(bytes)) {
        bail!(
            "'{shown}' holds the signature of {} over the same bytes; add yours with --append, or remove the file",
            other.fingerprint()
        );
    }
    Ok(String::new())
}
