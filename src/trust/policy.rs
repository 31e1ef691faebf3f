//! `policy.yaml` beside the list of allowed signers: how many of them have to sign. Part of the image, like the list.

use crate::ident::Generation;
use crate::yaml::finding::{Finding, Findings, Weight};
use crate::yaml::object::object;
use crate::yaml::read::{Bounded, Bounds, Read, Reader};
use crate::yaml::{self, Value};

object! {
    /// How many signatures a manifest needs, and of which quality.
    PolicyDocument, "a trust policy" {
        /// How many different trusted keys have to sign, 1 to 16.
        "threshold" threshold: Bounded<ThresholdBounds> = default("1"),
        /// Whether FIDO2 keys have to have checked a PIN or finger, beyond the touch that is always required.
        "userVerification" user_verification: bool = default("false"),
        /// The version of the trust of this image; dropped trust files of this version and below are not used.
        "version" version: Bounded<super::rotation::VersionBounds> = default("1"),
        /// With 'version': where the generations of manifests start anew, as in a trust file.
        "restartGenerationsAt" restart: Bounded<super::rollback::GenerationBounds> = default("they go on"),
    }
}

/// Bounds of the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThresholdBounds;

impl Bounds for ThresholdBounds {
    const BOUNDS: (u64, u64) = (1, 16);
    const WHAT: &'static str = "a number of keys";
}

/// What the image demands of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How many different keys have to sign; at least 1.
    pub threshold: usize,
    /// Whether FIDO2 keys have to have verified their user.
    pub user_verification: bool,
    /// The version of the image's trust; 1 for a list without a policy.
    pub version: u64,
    /// Where that version restarts the generations of manifests.
    pub restart: Option<Generation>,
}

impl Default for Policy {
    fn default() -> Self {
        Self { threshold: 1, user_verification: false, version: 1, restart: None }
    }
}

/// Reads a policy. An empty file is the default.
///
/// # Errors
/// Everything that is wrong: a policy that cannot be read is never taken for a weaker one.
pub fn parse(file: &str, text: &str) -> Result<Policy, Findings> {
    let node = yaml::document(text).map_err(|fault| {
        let yaml::Fault { place, rule, what, why, instead } = fault;
        let (weight, field, related) = (Weight::Invalid, String::new(), Vec::new());
        Findings::new(file, text, vec![Finding { weight, rule, field, place, what, why, instead, related }])
    })?;
    if node.value == Value::Null {
        return Ok(Policy::default());
    }
    let mut reader = Reader::default();
    let document = PolicyDocument::read(&node, &mut reader);
    let findings = reader.into_findings();
    match document {
        Some(document) if findings.is_empty() => Ok(Policy {
            threshold: document.threshold.map_or(1, |written| usize::try_from(written.value.number).unwrap_or(1)),
            user_verification: document.user_verification.is_some_and(|written| written.value),
            version: document.version.map_or(1, |written| written.value.number),
            restart: document.restart.map(|written| Generation(written.value.number)),
        }),
        _ => Err(Findings::new(file, text, findings)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_read_strictly_and_defaults_to_one_signature() {
        assert_eq!(parse("policy.yaml", "# nothing\n"), Ok(Policy::default()));
        let strict = Policy { threshold: 2, user_verification: true, version: 3, restart: Some(Generation(60)) };
        let written = "threshold: 2\nuserVerification: true\nversion: 3\nrestartGenerationsAt: 60\n";
        assert_eq!(parse("policy.yaml", written), Ok(strict));
        for bad in
            ["threshold: 0", "threshold: 17", "treshold: 2", "threshold: '2'", "[]", "threshold: 2\nthreshold: 1"]
        {
            assert!(parse("policy.yaml", bad).is_err(), "{bad}");
        }
    }
}
