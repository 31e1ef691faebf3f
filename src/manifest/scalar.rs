//! The values that a manifest writes as one piece of text: how each is read, and what its mistakes are called.

mod address;
mod host;
mod target;

pub use address::Cidr;
pub use host::{HostName, SystemUuid};
pub use target::{HttpUrl, HttpsUrl, Socket};

use super::document::{ApiVersion, Kind, Phase};
use super::{Environment, Transport, VrrpChecksum, VrrpVersion};
use crate::ident::{ClusterId, ClusterName, Digest, IdentError, LinkLabel, MachineId, NodeName};
use crate::version::ImageVersion;
use crate::yaml::read::Scalar;
use serde_json::{Value as Json, json};
use std::time::Duration;

/// Implements [`Scalar`] for a validated type of `ident`.
macro_rules! ident_scalar {
    ($($name:ty: $what:literal, $example:literal, $pattern:literal;)+) => {
        $(impl Scalar for $name {
            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = $example;

            fn from_text(text: &str) -> Result<Self, String> {
                text.parse().map_err(|error: IdentError| format!("{} is {}", $what, error.rule))
            }

            fn schema() -> Json {
                json!({ "type": "string", "pattern": $pattern })
            }
        })+
    };
}

ident_scalar! {
    NodeName: "a node name", "m1", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
    ClusterName: "a cluster name", "prod-east", "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
    LinkLabel: "an interface label", "eth0", "^[^/\\s]{1,127}$";
    ClusterId: "a cluster id", "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10",
        "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$";
    MachineId: "a machine id", "0b7e5ac0ffee40d1a1b2c3d4e5f60718", "^[0-9a-f]{32}$";
    Digest: "a SHA-256 digest", "64 hexadecimal digits, as 'sha256sum' prints them", "^[0-9a-f]{64}$";
}

/// Implements [`Scalar`] for a type that is one of some words.
macro_rules! word_scalar {
    ($($name:ty: $what:literal, $($word:literal => $value:expr),+;)+) => {
        $(impl Scalar for $name {
            const WHAT: &'static str = $what;
            const EXAMPLE: &'static str = [$($word),+][0];

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok($value),)+
                    _ => Err(String::new()),
                }
            }

            fn words() -> &'static [&'static str] {
                &[$($word),+]
            }
        })+
    };
}

word_scalar! {
    ApiVersion: "a known version", "quorate/v1" => ApiVersion;
    Kind: "a known kind", "ClusterManifest" => Kind;
    Environment: "an environment", "production" => Environment::Production, "test" => Environment::Test;
    Transport: "a transport", "multicast" => Transport::Multicast, "unicast" => Transport::Unicast;
    VrrpVersion: "a version of VRRP", "v3" => VrrpVersion::V3, "v2" => VrrpVersion::V2;
    VrrpChecksum: "a form of checksum", "message-only" => VrrpChecksum::MessageOnly,
        "pseudo-header" => VrrpChecksum::PseudoHeader;
    Phase: "a phase", "genesis" => Phase;
}

impl Scalar for ImageVersion {
    const WHAT: &'static str = "an image version";
    const EXAMPLE: &'static str = "\"20261122.1\" in quotes";

    fn from_text(text: &str) -> Result<Self, String> {
        ImageVersion::parse(text).ok_or_else(|| {
            "it is made of letters, digits and '._~^+-', as IMAGE_VERSION in /etc/os-release has it".to_owned()
        })
    }

    fn schema() -> Json {
        json!({ "type": ["string", "number"], "pattern": "^[A-Za-z0-9._~^+-]{1,128}$" })
    }
}

impl Scalar for jiff::Timestamp {
    const WHAT: &'static str = "a point in time";
    const EXAMPLE: &'static str = "2026-11-22T20:00:00Z";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| "it needs date, time and time zone: hosts are not all in one zone".to_owned())
    }

    fn schema() -> Json {
        json!({ "type": "string", "format": "date-time" })
    }
}

/// A duration in whole milliseconds, written with its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Milliseconds(pub u64);

impl Milliseconds {
    /// As a duration.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.0)
    }
}

impl Scalar for Milliseconds {
    const WHAT: &'static str = "a duration";
    const EXAMPLE: &'static str = "100ms or 1s";

    fn from_text(text: &str) -> Result<Self, String> {
        let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
        let unit = match &text[digits.len()..] {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "" => return Err("a number without a unit could be anything".to_owned()),
            _ => return Err("its unit is ms, s or min".to_owned()),
        };
        let number: u64 = digits.parse().map_err(|_| "it is a whole number and a unit".to_owned())?;
        number.checked_mul(unit).map(Milliseconds).ok_or_else(|| "it is longer than anybody waits".to_owned())
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|min)$" })
    }
}

/// An etcd cluster id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HexId(pub u64);

impl Scalar for HexId {
    const WHAT: &'static str = "an etcd cluster id";
    const EXAMPLE: &'static str = "\"cdf818194e3a8c32\" in quotes";

    fn from_text(text: &str) -> Result<Self, String> {
        let lower_hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        // etcd prints it without leading zeros.
        match u64::from_str_radix(text, 16) {
            Ok(id) if id != 0 && lower_hex && text.len() <= 16 => Ok(HexId(id)),
            _ => Err("it has up to 16 lower-case hexadecimal digits".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^[0-9a-f]{1,16}$" })
    }
}

/// The SHA-256 fingerprint of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint(pub Digest);

impl Scalar for Fingerprint {
    const WHAT: &'static str = "a CA fingerprint";
    const EXAMPLE: &'static str = "\"sha256:…\", as 'quorate pki init' prints it";

    fn from_text(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").ok_or_else(|| "it begins with 'sha256:'".to_owned())?;
        digits
            .parse()
            .map(Fingerprint)
            .map_err(|_| "after 'sha256:' it has 64 lower-case hexadecimal digits".to_owned())
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^sha256:[0-9a-f]{64}$" })
    }
}
