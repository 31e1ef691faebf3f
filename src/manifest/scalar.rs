//! The values that a manifest writes as one piece of text: how each is read, and what its mistakes are called.

use super::document::{ApiVersion, Kind, Phase, Serial};
use super::{Environment, Transport, VrrpChecksum, VrrpVersion};
use crate::ident::{ClusterId, ClusterName, Digest, IdentError, LinkLabel, Mac, MachineId, NodeName};
use crate::yaml::read::Scalar;
use serde_json::{Value as Json, json};
use std::net::{IpAddr, SocketAddr};
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

impl Scalar for IpAddr {
    const WHAT: &'static str = "an IP address";
    const EXAMPLE: &'static str = "10.20.0.11";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| match text.split_once('/') {
            Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
                "the prefix length belongs to the link, quorate reads it there".to_owned()
            }
            _ => "it is four numbers from 0 to 255 with dots, without leading zeros, or IPv6".to_owned(),
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
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

impl Scalar for Mac {
    const WHAT: &'static str = "a MAC address";
    const EXAMPLE: &'static str = "\"52:54:00:00:00:01\" in quotes";

    fn from_text(text: &str) -> Result<Self, String> {
        let mac: Mac = text.parse().map_err(|_| "it is six pairs of hexadecimal digits with colons".to_owned())?;
        if mac.0[0] & 1 == 1 || mac.0 == [0; 6] {
            return Err("it names a group of stations or none, not one interface".to_owned());
        }
        Ok(mac)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$" })
    }
}

/// A host name as `hostname` prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName(pub String);

impl Scalar for HostName {
    const WHAT: &'static str = "a host name";
    const EXAMPLE: &'static str = "m1 or m1.example.net";

    fn from_text(text: &str) -> Result<Self, String> {
        if text == "localhost" || text.starts_with("localhost.") {
            return Err("a host without a name of its own is called that".to_owned());
        }
        let label = |label: &str| label.to_ascii_lowercase().parse::<NodeName>().is_ok();
        if text.len() <= 253 && text.split('.').all(label) {
            Ok(HostName(text.to_owned()))
        } else {
            Err("it is made of letters, digits and '-', in parts with dots between".to_owned())
        }
    }
}

impl Scalar for Serial {
    const WHAT: &'static str = "a serial number";
    const EXAMPLE: &'static str = "CZ3021XYZ, as /sys/class/dmi/id/product_serial has it";

    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if super::identity::is_placeholder(text) {
            return Err("vendors ship many machines with this text instead of a number".to_owned());
        }
        Ok(Serial(text.to_owned()))
    }
}

/// An SMBIOS system UUID, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemUuid(pub String);

impl Scalar for SystemUuid {
    const WHAT: &'static str = "a system UUID";
    const EXAMPLE: &'static str = "4c4c4544-0051-3510-8057-b4c04f4d3232, as /sys/class/dmi/id/product_uuid has it";

    fn from_text(text: &str) -> Result<Self, String> {
        let text = text.to_ascii_lowercase();
        if text.parse::<ClusterId>().is_err() {
            return Err("it has 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12".to_owned());
        }
        if super::identity::is_placeholder(&text) {
            return Err("vendors ship many machines with this UUID".to_owned());
        }
        Ok(SystemUuid(text))
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

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits all its addresses share.
    pub prefix: u8,
}

impl Cidr {
    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(range), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(range) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(range), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(range) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

impl Scalar for Cidr {
    const WHAT: &'static str = "an address range";
    const EXAMPLE: &'static str = "10.244.0.0/16";

    fn from_text(text: &str) -> Result<Self, String> {
        let why = || "it is an address, '/' and a prefix length".to_owned();
        let (address, prefix) = text.split_once('/').ok_or_else(why)?;
        let address: IpAddr = address.parse().map_err(|_| why())?;
        let prefix: u8 = prefix.parse().map_err(|_| why())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most { Err(format!("its prefix length is at most {most}")) } else { Ok(Cidr { address, prefix }) }
    }
}

/// `http://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpUrl(pub String);

/// `https://…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsUrl(pub String);

/// `host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket(pub String);

impl Scalar for HttpUrl {
    const WHAT: &'static str = "an http URL";
    const EXAMPLE: &'static str = "http://127.0.0.1:8080/healthz";

    fn from_text(text: &str) -> Result<Self, String> {
        url(text, "http://").map(HttpUrl)
    }
}

impl Scalar for HttpsUrl {
    const WHAT: &'static str = "an https URL";
    const EXAMPLE: &'static str = "https://127.0.0.1:6443/livez";

    fn from_text(text: &str) -> Result<Self, String> {
        let url = url(text, "https://")?;
        // The host is an address or localhost by now. The prober holds no CA, so nobody else could be believed.
        if ["localhost", "127.", "[::1]"].iter().any(|own| url["https://".len()..].starts_with(own)) {
            Ok(HttpsUrl(url))
        } else {
            Err("it asks this master's own loopback: there is no CA to verify another host with".to_owned())
        }
    }
}

impl Scalar for Socket {
    const WHAT: &'static str = "an address with port";
    const EXAMPLE: &'static str = "127.0.0.1:6443 or \"[::1]:6443\"";

    fn from_text(text: &str) -> Result<Self, String> {
        // Names would need DNS, which may be what is broken when health matters.
        text.parse::<SocketAddr>()
            .map(|_| Socket(text.to_owned()))
            .map_err(|_| "it is an IP address, ':' and a port".to_owned())
    }
}

/// A URL whose host is an IP address or `localhost`.
fn url(text: &str, scheme: &str) -> Result<String, String> {
    let rest = text.strip_prefix(scheme).ok_or_else(|| format!("it begins with '{scheme}'"))?;
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a URL has no white space or control characters".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = match authority.parse::<SocketAddr>() {
        Ok(socket) => Some(socket.ip()),
        Err(_) => authority.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    };
    let localhost = authority == "localhost"
        || authority.strip_prefix("localhost:").is_some_and(|port| port.parse::<u16>().is_ok());
    if host.is_some() || localhost {
        Ok(text.to_owned())
    } else {
        Err("its host is an IP address: names need DNS, which may be what is broken".to_owned())
    }
}
