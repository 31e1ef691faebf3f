//! The names of things: small validated types that every part shares.
//!
//! A value of one of these types is well formed by construction. Each rejects bad text with a
//! message that says what is allowed, because the text usually comes from a manifest.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

/// Why a piece of text is not the name it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {kind}: {rule}")]
pub struct IdentError {
    /// What the text was meant to be, for example `node name`.
    pub kind: &'static str,
    /// The text as found.
    pub text: String,
    /// What is allowed.
    pub rule: &'static str,
}

/// Declares a validated string type; the rule is a predicate with its wording.
macro_rules! text_ident {
    ($(#[$doc:meta])* $name:ident, $kind:literal, $rule:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdentError;

            fn from_str(text: &str) -> Result<Self, IdentError> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(IdentError { kind: $kind, text: text.to_owned(), rule: $rule })
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdentError;

            fn try_from(text: String) -> Result<Self, IdentError> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

text_ident! {
    /// The name of a master, also its etcd member name. An RFC 1123 label, so that it can be a host name.
    NodeName, "node name", "1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit", is_label
}

text_ident! {
    /// The name of a cluster, for people.
    ClusterName, "cluster name", "1 to 63 of a-z, 0-9 and '-', starting and ending with a letter or digit", is_label
}

text_ident! {
    /// What a manifest calls an interface: a kernel name, an alternative name, or a MAC address.
    LinkLabel, "interface label", "1 to 127 visible characters without '/' or white space", is_link_label
}

text_ident! {
    /// The id of a cluster, an RFC 9562 UUID in lower case. Never reused: it is what stops a manifest
    /// of one cluster from being replayed in another.
    ClusterId, "cluster id", "a UUID in lower case, such as 3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10", is_uuid
}

text_ident! {
    /// The id of an installed system, machine-id(5).
    MachineId, "machine id", "32 lower-case hexadecimal digits, as in /etc/machine-id", is_machine_id
}

fn is_label(text: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_link_label(text: &str) -> bool {
    (1..=127).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => b == b'-',
            _ => b.is_ascii_digit() || (b'a'..=b'f').contains(&b),
        })
}

fn is_machine_id(text: &str) -> bool {
    text.len() == 32
        && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        && text.bytes().any(|b| b != b'0')
}

/// Orders the manifests of one cluster; it only ever grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// SHA-256 of some bytes, written in lower-case hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first 12 hexadecimal digits: enough for people to tell two manifests apart.
    pub fn short(&self) -> String {
        let mut text = self.to_string();
        text.truncate(12);
        text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = IdentError;

    fn from_str(text: &str) -> Result<Self, IdentError> {
        let error =
            || IdentError { kind: "SHA-256 digest", text: text.to_owned(), rule: "64 lower-case hexadecimal digits" };
        let lower_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
        if text.len() != 64 || !text.bytes().all(lower_hex) {
            return Err(error());
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| error())?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = IdentError;

    fn try_from(text: String) -> Result<Self, IdentError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.to_string()
    }
}

/// A MAC address, written in lower case with colons; read in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = IdentError;

    fn from_str(text: &str) -> Result<Self, IdentError> {
        let error =
            || IdentError { kind: "MAC address", text: text.to_owned(), rule: "six octets such as 52:54:00:00:00:02" };
        let mut octets = [0; 6];
        let mut written = text.split(':');
        for octet in &mut octets {
            let digits =
                written.next().filter(|digits| digits.len() == 2 && !digits.starts_with('+')).ok_or_else(error)?;
            *octet = u8::from_str_radix(digits, 16).map_err(|_| error())?;
        }
        if written.next().is_some() { Err(error()) } else { Ok(Self(octets)) }
    }
}

impl TryFrom<String> for Mac {
    type Error = IdentError;

    fn try_from(text: String) -> Result<Self, IdentError> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> String {
        mac.to_string()
    }
}

/// Identifies a virtual router on its link, 1 to 255 (RFC 9568 §5.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Vrid(u8);

impl Vrid {
    /// The identifier as it stands on the wire.
    pub fn octet(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Vrid {
    type Error = IdentError;

    fn try_from(octet: u8) -> Result<Self, IdentError> {
        if octet == 0 {
            return Err(IdentError {
                kind: "virtual router id", text: "0".into(), rule: "1 to 255 (RFC 9568 §5.2.3)"
            });
        }
        Ok(Self(octet))
    }
}

impl From<Vrid> for u8 {
    fn from(vrid: Vrid) -> u8 {
        vrid.0
    }
}

impl fmt::Display for Vrid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_are_rfc_1123_labels() {
        for good in ["m1", "a", "master-0", &"x".repeat(63)] {
            assert!(good.parse::<NodeName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "M1", "a.b", "a_b", "ä", &"x".repeat(64)] {
            assert!(bad.parse::<NodeName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn cluster_ids_are_lower_case_uuids() {
        assert!("3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse::<ClusterId>().is_ok());
        for bad in ["", "3F0C6A52-5d0e-4b8e-9a3f-6f2f7a1d9c10", "3f0c6a525d0e4b8e9a3f6f2f7a1d9c10", "prod-east"] {
            assert!(bad.parse::<ClusterId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_uninitialised_machine_id_is_refused() {
        assert!("0".repeat(32).parse::<MachineId>().is_err());
        assert!("uninitialized".parse::<MachineId>().is_err());
        assert!("0b7e5ac0ffee40d1a1b2c3d4e5f60718".parse::<MachineId>().is_ok());
    }

    #[test]
    fn a_digest_reads_back_what_it_prints() {
        let digest = Digest::of(b"manifest");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert!("ABCD".parse::<Digest>().is_err());
    }

    #[test]
    fn a_mac_is_six_octets_in_either_case() {
        assert_eq!("52:54:00:AA:00:02".parse::<Mac>().unwrap().to_string(), "52:54:00:aa:00:02");
        for bad in
            ["", "52:54:00:00:00", "52:54:00:00:00:02:03", "5254.0000.0002", "52:54:00:00:00:+2", "52:54:00:00:00:2"]
        {
            assert!(bad.parse::<Mac>().is_err(), "{bad}");
        }
    }

    #[test]
    fn vrid_zero_is_refused() {
        assert!(Vrid::try_from(0).is_err());
        assert_eq!(Vrid::try_from(255).map(Vrid::octet), Ok(255));
    }
}
