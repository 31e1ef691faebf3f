//! Changing whom to trust without a new image: trust file N+1, signed by a threshold of N and by a threshold of itself.
//!
//! The image's list is the first root. A dropped `trust.yaml` replaces it as a whole, one version at a time, so that no
//! version that takes a key away can be skipped (TUF §5.3, §6.1). Signed by the old keys it is authentic; signed by the
//! new ones they are known to work. An image with a higher version overrides what was dropped.
//!
//! A version may also restart the generations of manifests, which [`super::rollback`] makes safe. It takes effect once, on
//! the way from the version before, and each restart begins above the one before it.

use super::envelope::{Envelope, EnvelopeError};
use super::keyring::Keyring;
use super::policy::{Policy, ThresholdBounds};
use super::rollback::{GenerationBounds, Restart};
use super::{Purpose, TRUST_NAMESPACE, TrustError, seal};
use crate::ident::{Digest, Generation};
use crate::yaml;
use crate::yaml::finding::{Finding, Findings, Weight};
use crate::yaml::object::object;
use crate::yaml::read::{Bounded, Bounds, Read, Reader, Scalar};

/// Whom to trust, and which version of that this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Counts from 1; the image's is 1 unless its policy says otherwise.
    pub version: u64,
    /// Of the trust file; none for the image's list.
    pub digest: Option<Digest>,
    /// Whose signatures count.
    pub keyring: Keyring,
    /// The latest restart of the generations, of this version or one before it.
    pub restart: Option<Restart>,
}

object! {
    /// Whom to trust from this version on; replaces the version before as a whole.
    RootDocument, "a trust file" {
        /// What the document is.
        "kind" kind: RootKind = required("it tells a trust file from other documents"),
        /// Exactly one more than the version in force.
        "version" version: Bounded<VersionBounds> = required("versions are accepted one by one, so that none is skipped"),
        /// How many different keys have to sign a manifest, 1 to 16.
        "threshold" threshold: Bounded<ThresholdBounds> = default("1"),
        /// Whether FIDO2 keys have to have checked a PIN or finger.
        "userVerification" user_verification: bool = default("false"),
        /// Where the generations of manifests start anew, after a stolen key drove them up.
        "restartGenerationsAt" restart: Bounded<GenerationBounds> = default("they go on"),
        /// Lines in the format of allowed_signers, ssh-keygen(1).
        "signers" signers: Lines = required("without signers nothing would ever be accepted again"),
    }
}

/// `kind` of a trust file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootKind;

impl Scalar for RootKind {
    const WHAT: &'static str = "a known kind";
    const EXAMPLE: &'static str = "TrustRoot";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == Self::EXAMPLE { Ok(Self) } else { Err(String::new()) }
    }

    fn words() -> &'static [&'static str] {
        &["TrustRoot"]
    }
}

/// Bounds of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionBounds;

impl Bounds for VersionBounds {
    const BOUNDS: (u64, u64) = (1, 1_000_000);
    const WHAT: &'static str = "a version";
}

/// Lines of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines(String);

impl Scalar for Lines {
    const WHAT: &'static str = "lines of text";
    const EXAMPLE: &'static str = "'|' and the lines below it, indented";

    fn from_text(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }
}

/// Why a trust file does not follow the one in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RotationError {
    /// The signature file is not one.
    #[error("the signature cannot be read")]
    Envelope(#[source] EnvelopeError),
    /// The keys in force did not sign it.
    #[error("the keys of version {0} have to sign it")]
    Old(u64, #[source] TrustError),
    /// The keys that it names did not sign it.
    #[error("its own keys have to sign it as well, so that they are known to work")]
    New(#[source] TrustError),
    /// It has mistakes.
    #[error("{0}")]
    Invalid(Findings),
    /// A line of signers is not understood: here, none may be.
    #[error("{0}; correct it, then sign again")]
    Spoiled(String),
    /// It was accepted already, or is older.
    #[error("version {offered} is not newer than {current}, which is in force")]
    Older {
        /// What came.
        offered: u64,
        /// What is in force.
        current: u64,
    },
    /// It restarts the generations below an earlier restart.
    #[error(
        "version {version} restarts the generations at {offered}, and version {} did at {}; write a \
         'restartGenerationsAt' above {}, or leave it out", earlier.version, earlier.at, earlier.at
    )]
    RestartsLower {
        /// The version that came.
        version: u64,
        /// Where it restarts.
        offered: Generation,
        /// The restart that holds.
        earlier: Restart,
    },
    /// A version between is missing.
    #[error("version {offered} cannot follow {current}: drop version {} first", current + 1)]
    Skips {
        /// What came.
        offered: u64,
        /// What is in force.
        current: u64,
    },
}

/// The root that a signed trust file makes of the one in force.
///
/// # Errors
/// Names the rule it breaks. A version that is not newer is told before its signatures by other keys are.
pub fn succeed(current: &Root, bytes: &[u8], signature: &str, purpose: Purpose<'_>) -> Result<Root, RotationError> {
    let envelopes = Envelope::read_all(signature).map_err(RotationError::Envelope)?;
    let sealed = seal(bytes.to_vec(), &envelopes, &current.keyring, TRUST_NAMESPACE, purpose)
        .map_err(|error| RotationError::Old(current.version, error))?;
    let mut next = parse("trust.yaml", sealed.bytes.get())?;
    if next.version <= current.version {
        return Err(RotationError::Older { offered: next.version, current: current.version });
    }
    if next.version != current.version + 1 {
        return Err(RotationError::Skips { offered: next.version, current: current.version });
    }
    if let (Some(earlier), Some(restart)) = (current.restart, next.restart)
        && restart.at <= earlier.at
    {
        return Err(RotationError::RestartsLower { version: next.version, offered: restart.at, earlier });
    }
    seal(bytes.to_vec(), &envelopes, &next.keyring, TRUST_NAMESPACE, purpose).map_err(RotationError::New)?;
    next.restart = next.restart.or(current.restart);
    Ok(next)
}

/// Reads a trust file, whoever signed it: for the workstation that is about to.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(file: &str, bytes: &[u8]) -> Result<Root, RotationError> {
    let text = String::from_utf8_lossy(bytes);
    let invalid = |list| RotationError::Invalid(Findings::new(file, &text, list));
    let node = yaml::document(&text).map_err(|fault| {
        let yaml::Fault { place, rule, what, why, instead } = fault;
        let (weight, field, related) = (Weight::Invalid, String::new(), Vec::new());
        invalid(vec![Finding { weight, rule, field, place, what, why, instead, related }])
    })?;
    let mut reader = Reader::default();
    let document = RootDocument::read(&node, &mut reader);
    let findings = reader.into_findings();
    let Some(RootDocument {
        version: Some(version),
        signers: Some(signers),
        threshold,
        user_verification,
        restart,
        ..
    }) = document.filter(|_| findings.is_empty())
    else {
        return Err(invalid(findings));
    };
    let policy = Policy {
        threshold: threshold.map_or(1, |written| usize::try_from(written.value.number).unwrap_or(1)),
        user_verification: user_verification.is_some_and(|written| written.value),
        ..Policy::default()
    };
    let keyring = Keyring::parse(&signers.value.0, policy);
    match keyring.spoiled() {
        [] => {
            let version = version.value.number;
            let restart = restart.map(|written| Restart { version, at: Generation(written.value.number) });
            Ok(Root { version, digest: Some(Digest::of(bytes)), keyring, restart })
        }
        spoiled => Err(RotationError::Spoiled(spoiled.join("; "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trust::tests::{key, line, sign};

    fn image() -> Root {
        let keyring = Keyring::parse(&line(&key(1), "old", ""), Policy::default());
        Root { version: 1, digest: None, keyring, restart: None }
    }

    fn file(version: u64, seed: u8) -> String {
        format!("kind: TrustRoot\nversion: {version}\nsigners: |\n  {}", line(&key(seed), "new", ""))
    }

    fn offered(text: &str, signers: &[u8]) -> Result<u64, String> {
        let signature: String =
            signers.iter().map(|seed| sign(&key(*seed), TRUST_NAMESPACE, text.as_bytes())).collect();
        succeed(&image(), text.as_bytes(), &signature, Purpose::InForce).map(|root| root.version).map_err(|error| {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(next) = cause {
                text += &format!(": {next}");
                cause = next.source();
            }
            text
        })
    }

    #[test]
    fn a_trust_file_needs_the_old_keys_and_its_own() {
        assert_eq!(offered(&file(2, 2), &[1, 2]), Ok(2));
        let old = offered(&file(2, 2), &[2]).unwrap_err();
        assert!(old.starts_with("the keys of version 1 have to sign it: no trusted signature: key SHA256:"), "{old}");
        let new = offered(&file(2, 2), &[1]).unwrap_err();
        assert!(new.starts_with("its own keys have to sign it as well, so that they are known to work"), "{new}");
    }

    #[test]
    fn versions_follow_one_by_one() {
        assert_eq!(offered(&file(1, 2), &[1, 2]), Err("version 1 is not newer than 1, which is in force".into()));
        assert_eq!(offered(&file(3, 2), &[1, 2]), Err("version 3 cannot follow 1: drop version 2 first".into()));
    }

    #[test]
    fn a_trust_file_is_understood_completely_or_not_at_all() {
        let spoiled = file(2, 2) + "  eve cert-authority ssh-ed25519 AAAA\n";
        assert_eq!(
            offered(&spoiled, &[1, 2]),
            Err("line 2 is not used: its key cannot be read (Base64 encoding error: invalid Base64 length); correct it, \
                 then sign again"
                .into())
        );
        let misspelt = file(2, 2).replace("signers", "singers");
        assert!(offered(&misspelt, &[1, 2]).unwrap_err().contains("did you mean 'signers'?"));
    }

    #[test]
    fn a_restart_is_kept_by_later_versions_and_only_moves_up() {
        let restarting = |version: u64, at: u64| {
            file(version, 1).replace("signers:", &format!("restartGenerationsAt: {at}\nsigners:"))
        };
        let next = |root: &Root, text: &str| {
            let signature = sign(&key(1), TRUST_NAMESPACE, text.as_bytes());
            succeed(root, text.as_bytes(), &signature, Purpose::InForce)
        };
        let second = next(&image(), &restarting(2, 60)).unwrap();
        let held = Some(Restart { version: 2, at: Generation(60) });
        assert_eq!(second.restart, held);
        let third = next(&second, &file(3, 1)).unwrap();
        assert_eq!(third.restart, held, "a version that says nothing keeps it");
        for lower in [59, 60] {
            assert_eq!(
                next(&third, &restarting(4, lower)).unwrap_err().to_string(),
                format!(
                    "version 4 restarts the generations at {lower}, and version 2 did at 60; write a \
                     'restartGenerationsAt' above 60, or leave it out"
                )
            );
        }
        let fourth = next(&third, &restarting(4, 61)).unwrap();
        assert_eq!(fourth.restart, Some(Restart { version: 4, at: Generation(61) }));
        assert!(next(&image(), &restarting(2, 0)).is_err(), "there is no generation 0");
    }

    #[test]
    fn a_manifest_signature_is_none_for_a_trust_file() {
        let text = file(2, 2);
        let signature: String =
            [1, 2].map(|seed| sign(&key(seed), crate::trust::MANIFEST_NAMESPACE, text.as_bytes())).concat();
        assert!(succeed(&image(), text.as_bytes(), &signature, Purpose::InForce).is_err());
    }
}
