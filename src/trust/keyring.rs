//! Whose signatures count, and how many are needed: OpenSSH's allowed_signers, read strictly, and a threshold.
//!
//! The format is ssh-keygen(1), "ALLOWED SIGNERS", so that one file serves both programs. A line that is not
//! understood completely is not used and is reported: a misspelt restriction must not become no restriction. Two rules
//! are stricter than OpenSSH's: times end in `Z`, because a host's time zone is nobody's promise, and certificate
//! authorities are never trusted, because a manifest is signed by a key and not by a certificate.

use super::Purpose;
use super::envelope::{Envelope, Presence};
use super::policy::Policy;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PublicKey};
use std::collections::BTreeMap;

/// One usable line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signer {
    /// The principals of the line: a name for people.
    pub name: String,
    key: KeyData,
    namespaces: Option<Vec<String>>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
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

/// Reads one line: principals, options, key type, key, comment.
fn signer(line: &str) -> Result<Signer, String> {
    let (name, rest) = field(line)?;
    if name.chars().any(|character| character.is_control() || character == '\u{feff}') {
        return Err("its principals have characters that cannot be seen".into());
    }
    // As ssh-keygen does: what is not a key type is options.
    let (first, after_first) = field(rest)?;
    let (options, key) = if is_key_type(first) { (None, rest) } else { (Some(first), after_first) };
    let (key_type, blob) = key.trim_start().split_once([' ', '\t']).ok_or("it has no key")?;
    if !is_key_type(key_type) {
        return Err(match options {
            Some(options) => format!("'{}' is neither a key type nor followed by one", options.escape_debug()),
            None => "it has no key".into(),
        });
    }
    let key = PublicKey::from_openssh(&format!("{key_type} {}", blob.trim()))
        .map_err(|error| format!("its key cannot be read ({error})"))?
        .key_data()
        .clone();
    let mut signer = Signer {
        name: name.trim_matches('"').to_owned(),
        key,
        namespaces: None,
        valid_after: None,
        valid_before: None,
    };
    if let Some(options) = options {
        read_options(options, &mut signer)?;
    }
    if let (Some(after), Some(before)) = (signer.valid_after, signer.valid_before)
        && before <= after
    {
        return Err("its 'valid-before' is not after its 'valid-after'".into());
    }
    Ok(signer)
}

/// The first field, where white space inside double quotes does not count, and the rest.
fn field(text: &str) -> Result<(&str, &str), String> {
    let text = text.trim_start_matches([' ', '\t']);
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted => return Ok((&text[..at], &text[at..])),
            _ => {}
        }
    }
    if quoted { Err("a quote is not closed".into()) } else { Ok((text, "")) }
}

fn is_key_type(text: &str) -> bool {
    text.starts_with("ssh-") || text.starts_with("ecdsa-sha2-") || text.starts_with("sk-")
}

fn read_options(text: &str, signer: &mut Signer) -> Result<(), String> {
    for option in split_options(text) {
        let (name, value) = match option.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (option, None),
        };
        let quoted = || {
            value
                .and_then(|value| value.strip_prefix('"')?.strip_suffix('"'))
                .filter(|value| !value.contains('"'))
                .ok_or_else(|| format!("the value of '{name}' has to stand in double quotes"))
        };
        let once = |taken: bool| if taken { Err(format!("'{name}' is written twice")) } else { Ok(()) };
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => {
                once(signer.namespaces.is_some())?;
                let list = quoted()?.split(',').map(str::trim).filter(|pattern| !pattern.is_empty());
                signer.namespaces = Some(list.map(str::to_owned).collect());
            }
            "valid-after" => {
                once(signer.valid_after.is_some())?;
                signer.valid_after = Some(timestamp(quoted()?)?);
            }
            "valid-before" => {
                once(signer.valid_before.is_some())?;
                signer.valid_before = Some(timestamp(quoted()?)?);
            }
            "cert-authority" => return Err("a certificate authority does not sign manifests, only keys do".into()),
            _ => return Err(format!("'{}' is not an option", name.escape_debug())),
        }
    }
    Ok(())
}

/// Options are separated by commas outside of quotes; an empty one is not an option.
fn split_options(text: &str) -> Vec<&str> {
    let (mut options, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, character) in text.char_indices() {
        match character {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                options.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    options.push(&text[start..]);
    options
}

/// `YYYYMMDD[HHMM[SS]]Z`.
fn timestamp(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("'{}' is not a time; write it like 20261122Z or 202611222000Z", text.escape_debug());
    let Some(digits) = text.strip_suffix('Z') else {
        return Err(format!(
            "'{}' has no time zone, so it would mean another time on every host; end it in 'Z'",
            text.escape_debug()
        ));
    };
    let padded = match digits.len() {
        8 => format!("{digits}000000"),
        12 => format!("{digits}00"),
        14 => digits.to_owned(),
        _ => return Err(wrong()),
    };
    if !padded.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number = |range: std::ops::Range<usize>| padded[range].parse::<i8>().map_err(|_| wrong());
    let year: i16 = padded[..4].parse().map_err(|_| wrong())?;
    DateTime::new(year, number(4..6)?, number(6..8)?, number(8..10)?, number(10..12)?, number(12..14)?, 0)
        .and_then(|time| time.to_zoned(TimeZone::UTC))
        .map(|zoned| zoned.timestamp())
        .map_err(|_| wrong())
}

/// A pattern list as OpenSSH reads it: one match allows, one match of a pattern after `!` forbids.
fn allows(patterns: &[String], text: &str) -> bool {
    let forbidden = |pattern: &String| pattern.strip_prefix('!').is_some_and(|pattern| matches(pattern, text));
    patterns.iter().any(|pattern| matches(pattern, text)) && !patterns.iter().any(forbidden)
}

/// OpenSSH's pattern: `*` any run, `?` any one character.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    // Reachable positions in the pattern; no recursion, so that a hostile pattern costs no more than its length.
    let mut reachable = vec![false; pattern.len() + 1];
    reachable[0] = true;
    let spread = |reachable: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if reachable[at] && pattern[at] == '*' {
                reachable[at + 1] = true;
            }
        }
    };
    spread(&mut reachable);
    for character in text {
        let mut next = vec![false; pattern.len() + 1];
        for at in 0..pattern.len() {
            if reachable[at] {
                match pattern[at] {
                    '*' => next[at] = true,
                    '?' => next[at + 1] = true,
                    literal if literal == character => next[at + 1] = true,
                    _ => {}
                }
            }
        }
        reachable = next;
        spread(&mut reachable);
    }
    reachable[pattern.len()]
}
