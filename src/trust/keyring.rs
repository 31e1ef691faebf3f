//! Whose signatures count, and how many are needed: OpenSSH's allowed_signers, read strictly, and a threshold.
//!
//! The format is that of ssh-keygen(1), so that one file serves both programs; how a line is read is
//! [`super::allowed_signers`]. A line that is not understood completely is not used, and is told.

use super::Purpose;
use super::allowed_signers::{allows, signer};
use super::envelope::{Envelope, Presence};
use super::policy::Policy;
use jiff::Timestamp;
use ssh_key::HashAlg;
use ssh_key::public::KeyData;
use std::collections::BTreeMap;

/// One usable line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The principals of the line: a name for people.
    pub name: String,
    pub(super) key: KeyData,
    pub(super) namespaces: Option<Vec<String>>,
    pub(super) valid_after: Option<Timestamp>,
    pub(super) valid_before: Option<Timestamp>,
}

/// The list of allowed signers, with the policy of how many have to sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyring {
    signers: Vec<Signer>,
    spoiled: Vec<String>,
    policy: Policy,
}

/// Whose signatures count, and why the others do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tally {
    pub valid: Vec<String>,
    pub rejected: Vec<Rejection>,
}

/// Why one signature does not count.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Made for another purpose.
    #[error(
        "the signature of key {fingerprint} is for '{}' and not for '{wanted}'; sign with 'ssh-keygen -Y sign -n {wanted}'",
        found.escape_debug()
    )]
    Namespace {
        /// Of the key.
        fingerprint: String,
        /// What it was made for.
        found: String,
        /// What it has to be made for.
        wanted: &'static str,
    },
    /// The key is not listed.
    #[error("key {fingerprint} is not an allowed signer; sign with a listed key, or list this one in the image")]
    UnknownKey {
        /// Of the key.
        fingerprint: String,
    },
    /// The key is of a kind that does not count.
    #[error("keys of type {algorithm} do not count; sign with an Ed25519 or ECDSA P-256 key, also on a FIDO2 token")]
    Algorithm {
        /// Of the key.
        algorithm: String,
    },
    /// The list does not let this key sign manifests.
    #[error("key {fingerprint} of '{name}' may not sign for '{wanted}'; add the namespace to its line in the image")]
    NotForThis {
        /// Of the key.
        fingerprint: String,
        /// Of the signer.
        name: String,
        /// What it has to be allowed for.
        wanted: &'static str,
    },
    /// The key was valid once.
    #[error("key {fingerprint} of '{name}' expired at {at}; sign with a key that is valid")]
    Expired {
        /// Of the key.
        fingerprint: String,
        /// Of the signer.
        name: String,
        /// Since when.
        at: Timestamp,
    },
    /// The key is not valid yet.
    #[error("key {fingerprint} of '{name}' is valid only from {at}, it is {}; wait, or set the clock", now.strftime("%FT%TZ"))]
    NotYetValid {
        /// Of the key.
        fingerprint: String,
        /// Of the signer.
        name: String,
        /// From when.
        at: Timestamp,
        /// What time it is here.
        now: Timestamp,
    },
    /// The signature is one of other bytes.
    #[error(
        "the signature of '{name}' (key {fingerprint}) is not one of these bytes; the manifest was changed after it \
         was signed: sign it again"
    )]
    OtherBytes {
        /// Of the key.
        fingerprint: String,
        /// Of the signer.
        name: String,
    },
    /// Nobody touched the token.
    #[error(
        "nobody touched the security key of '{name}' when it signed; touch it, or make the key without 'no-touch-required'"
    )]
    NotTouched {
        /// Of the signer.
        name: String,
    },
    /// The token did not check who touched it.
    #[error("the security key of '{name}' did not check a PIN or finger; make the key with 'verify-required'")]
    UserNotVerified {
        /// Of the signer.
        name: String,
    },
    /// The same key signed twice.
    #[error("'{name}' signed twice, which counts once; another key has to sign")]
    SameKey {
        /// Of the signer.
        name: String,
    },
}

impl Keyring {
    /// Reads a list of allowed signers. Lines that are not understood completely are left out and told by
    /// [`Self::spoiled`].
    pub fn parse(text: &str, policy: Policy) -> Self {
        let mut keyring = Self { signers: Vec::new(), spoiled: Vec::new(), policy };
        for (at, line) in text.lines().enumerate() {
            // ssh-keygen takes a line with a byte order mark for a principal of that name; here it spoils the line.
            let line = line.trim_matches([' ', '\t', '\r']);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            match signer(line) {
                Ok(signer) => keyring.signers.push(signer),
                Err(why) => keyring.spoiled.push(format!("line {} is not used: {why}", at + 1)),
            }
        }
        keyring
    }

    /// Whether no key is trusted.
    pub fn is_empty(&self) -> bool {
        self.signers.is_empty()
    }

    /// Whom the usable lines name.
    pub fn signers(&self) -> &[Signer] {
        &self.signers
    }

    /// The lines that are not used, each with its reason.
    pub fn spoiled(&self) -> &[String] {
        &self.spoiled
    }

    /// How many different keys have to sign.
    pub fn threshold(&self) -> usize {
        self.policy.threshold
    }

    /// Counts the signatures of `bytes`: each key once, however many signatures it made (TUF §5.3.4).
    pub(super) fn tally(
        &self,
        bytes: &[u8],
        envelopes: &[Envelope],
        namespace: &'static str,
        purpose: Purpose<'_>,
    ) -> Tally {
        let mut valid: BTreeMap<String, String> = BTreeMap::new();
        let mut rejected = Vec::new();
        for envelope in envelopes {
            match self.judge(bytes, envelope, namespace, purpose) {
                Ok(name) if valid.contains_key(&envelope.fingerprint()) => rejected.push(Rejection::SameKey { name }),
                Ok(name) => {
                    valid.insert(envelope.fingerprint(), name);
                }
                Err(rejection) => rejected.push(rejection),
            }
        }
        let mut valid: Vec<String> = valid.into_values().collect();
        valid.sort();
        Tally { valid, rejected }
    }

    /// The name of the signer whose valid signature this is.
    fn judge(
        &self,
        bytes: &[u8],
        envelope: &Envelope,
        wanted: &'static str,
        purpose: Purpose<'_>,
    ) -> Result<String, Rejection> {
        let fingerprint = envelope.fingerprint();
        if let Err(algorithm) = envelope.algorithm() {
            return Err(Rejection::Algorithm { algorithm: algorithm.to_string() });
        }
        if envelope.namespace() != wanted {
            let found = envelope.namespace().to_owned();
            return Err(Rejection::Namespace { fingerprint, found, wanted });
        }
        // A key may stand on several lines; one that lets it sign is enough, as for ssh-keygen.
        let mut refused = Rejection::UnknownKey { fingerprint: fingerprint.clone() };
        let mut name = None;
        for signer in self.signers.iter().filter(|signer| signer.key == *envelope.key()) {
            match signer.may_sign(&fingerprint, wanted, purpose) {
                Ok(()) => name = name.or(Some(&signer.name)),
                Err(rejection) => refused = rejection,
            }
        }
        let name = name.ok_or(refused)?.clone();
        if !envelope.covers(bytes) {
            return Err(Rejection::OtherBytes { fingerprint, name });
        }
        match envelope.presence() {
            Presence::Absent => Err(Rejection::NotTouched { name }),
            Presence::Touched if self.policy.user_verification => Err(Rejection::UserNotVerified { name }),
            Presence::NotAsked | Presence::Touched | Presence::UserVerified => Ok(name),
        }
    }
}

impl Signer {
    /// Its fingerprint, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        self.key.fingerprint(HashAlg::Sha256).to_string()
    }

    fn may_sign(&self, fingerprint: &str, wanted: &'static str, purpose: Purpose<'_>) -> Result<(), Rejection> {
        let (fingerprint, name) = (fingerprint.to_owned(), self.name.clone());
        if let Some(namespaces) = &self.namespaces
            && !allows(namespaces, wanted)
        {
            return Err(Rejection::NotForThis { fingerprint, name, wanted });
        }
        let Purpose::NewInput(clock) = purpose else { return Ok(()) };
        match (self.valid_after, self.valid_before) {
            (_, Some(at)) if clock.now >= at => Err(Rejection::Expired { fingerprint, name, at }),
            // A clock that nobody vouches for may simply be behind: it cannot prove that a key is too young.
            (Some(at), _) if clock.trusted && clock.now < at => {
                Err(Rejection::NotYetValid { fingerprint, name, at, now: clock.now })
            }
            _ => Ok(()),
        }
    }
}
