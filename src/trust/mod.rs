//! Trust: what is signed, by whom, and what may replace what.
//!
//! [`Verified`] is the seal of this folder: it can only be made here, by [`verify`], from raw bytes and enough
//! signatures of trusted keys. [`envelope`] reads signatures, [`keyring`] says whose count and how many are needed,
//! [`rotation`] how that changes,
//! [`rollback`] says which generation may follow which, [`clock`] says what time it is at the very least;
//! [`host`] reads what the image says of all this, and [`store`] keeps what was accepted.
//!
//! Nothing in this folder parses what was signed: by the time anybody does, the seal is on it.

pub mod agent;
mod allowed_signers;
pub mod clock;
pub mod envelope;
pub mod host;
pub mod keyring;
pub mod policy;
pub mod rollback;
pub mod rotation;
pub mod signing;
pub mod store;

use clock::Clock;
use envelope::{Envelope, EnvelopeError};
use keyring::{Keyring, Rejection};

/// The namespace of manifest signatures: a signature made for another purpose is worth nothing here.
pub const MANIFEST_NAMESPACE: &str = "quorate-manifest";

/// The namespace of trust file signatures.
pub const TRUST_NAMESPACE: &str = "quorate-trust";

/// A value whose bytes were signed by enough trusted keys, or that was computed from such a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// The value.
    pub fn get(&self) -> &T {
        &self.0
    }

    /// A seal without a signature, for tests of what comes after verification.
    #[cfg(test)]
    pub(crate) fn assumed(value: T) -> Self {
        Self(value)
    }

    /// Carries the seal over to what is computed from the value alone.
    ///
    /// # Errors
    /// Those of `compute`.
    pub fn try_map<U, E>(self, compute: impl FnOnce(T) -> Result<U, E>) -> Result<Verified<U>, E> {
        compute(self.0).map(Verified)
    }
}

/// Bytes under their seal, and whose signatures made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The bytes.
    pub bytes: Verified<Vec<u8>>,
    /// Who signed, as the keyring names them, each key once.
    pub signers: Vec<String>,
}

/// What the signature is checked for: a date that has passed stops new input, never what is already in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose<'a> {
    /// Something new is to be accepted; keys have to be valid now.
    NewInput(&'a Clock),
    /// Something accepted earlier is read again; the dates of keys are not looked at.
    InForce,
}

/// Why bytes did not get their seal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// The signature file is not one.
    #[error("the signature cannot be read")]
    Envelope(#[source] EnvelopeError),
    /// The keyring accepts nobody.
    #[error("no key is trusted: the list of allowed signers has no usable line{}", spoiled(.0))]
    NobodyTrusted(Vec<String>),
    /// The one signature there is, and the one that is needed, does not count.
    #[error("no trusted signature: {0}")]
    Rejected(Rejection),
    /// Fewer keys signed than the policy demands.
    #[error(
        "{needed} trusted keys have to sign, {} did{}{}; add a signature with 'quorate sign --append'",
        .valid.len(), named(.valid), reasons(.rejected)
    )]
    BelowThreshold {
        /// How many keys have to sign.
        needed: usize,
        /// Whose signatures count.
        valid: Vec<String>,
        /// Why the others do not.
        rejected: Vec<Rejection>,
    },
}

/// Puts the seal on `bytes` if enough trusted keys signed exactly these bytes for [`MANIFEST_NAMESPACE`].
///
/// # Errors
/// Says which signature does not count and why.
pub fn verify(
    bytes: Vec<u8>,
    signature_text: &str,
    keyring: &Keyring,
    purpose: Purpose<'_>,
) -> Result<Signed, TrustError> {
    let envelopes = Envelope::read_all(signature_text).map_err(TrustError::Envelope)?;
    seal(bytes, &envelopes, keyring, MANIFEST_NAMESPACE, purpose)
}

/// Puts the seal on `bytes` if enough trusted keys signed exactly these bytes for `namespace`.
fn seal(
    bytes: Vec<u8>,
    envelopes: &[Envelope],
    keyring: &Keyring,
    namespace: &'static str,
    purpose: Purpose<'_>,
) -> Result<Signed, TrustError> {
    if keyring.is_empty() {
        return Err(TrustError::NobodyTrusted(keyring.spoiled().to_vec()));
    }
    let tally = keyring.tally(&bytes, envelopes, namespace, purpose);
    let needed = keyring.threshold();
    if tally.valid.len() >= needed {
        return Ok(Signed { bytes: Verified(bytes), signers: tally.valid });
    }
    match (needed, tally.rejected.as_slice()) {
        (1, [only]) => Err(TrustError::Rejected(only.clone())),
        _ => Err(TrustError::BelowThreshold { needed, valid: tally.valid, rejected: tally.rejected }),
    }
}

fn spoiled(lines: &[String]) -> String {
    if lines.is_empty() { String::new() } else { format!(" ({})", lines.join("; ")) }
}

fn named(signers: &[String]) -> String {
    if signers.is_empty() { String::new() } else { format!(" ({})", signers.join(", ")) }
}

fn reasons(rejected: &[Rejection]) -> String {
    rejected.iter().map(|rejection| format!("; {rejection}")).collect()
}

#[cfg(test)]
pub(crate) mod tests;
