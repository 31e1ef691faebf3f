//! What a health probe asks: addresses that work without DNS, which may be what is broken when health matters.

use crate::yaml::read::Scalar;
use std::net::SocketAddr;

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
