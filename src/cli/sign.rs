//! `quorate sign FILE --key KEY`: what `ssh-keygen -Y sign -n quorate-manifest` does, after a check.
//!
//! A manifest that a host would refuse is not signed: the refusal belongs here, where somebody can still repair it.

use super::{Exit, report};
use crate::durable;
use crate::trust::MANIFEST_NAMESPACE;
use crate::trust::envelope::Envelope;
use crate::trust::signing::Key;
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
    let (bytes, parsed) = report::manifest(&args.file)?;
    let parsed = match parsed {
        Ok(parsed) => parsed,
        Err(findings) => return Ok(report::refuse(&findings, args.json)),
    };
    let mut key = key(&args.key)?;
    let envelope = key
        .sign(MANIFEST_NAMESPACE, &bytes)
        .with_context(|| format!("cannot sign with '{}'", args.key.display()))
        .context(Exit::Usage)?;
    let path = signature_path(&args.file);
    let mut text = beside(&path, &bytes, &envelope, args.append).context(Exit::Usage)?;
    text.push_str(&envelope.to_text()?);
    durable::replace(&path, text.as_bytes(), 0o644, None)?;
    let signatures = Envelope::read_all(&text)?.len();
    let manifest = &parsed.manifest;
    if args.json {
        report::print_json(&json!({
            "verdict": Exit::Fine.to_string(),
            "signature": path,
            "signatures": signatures,
            "key": envelope.fingerprint(),
            "generation": manifest.generation,
            "digest": manifest.digest,
            "findings": parsed.warnings.to_json(),
        }));
        return Ok(Exit::Fine);
    }
    report::print(&parsed.warnings);
    println!(
        "{}: generation {}, digest {}, signed by {}{}",
        path.display(),
        manifest.generation,
        manifest.digest.short(),
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
