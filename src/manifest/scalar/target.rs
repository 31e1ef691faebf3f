//! What a health probe asks: addresses that work without DNS, which may be what is broken when health matters.

use super::address::{IPV4, IPV6};
use crate::yaml::read::Scalar;
use serde_json::{Value as Json, json};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

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

    fn schema() -> Json {
        let host = format!("(localhost|{IPV4}|\\[{IPV6}\\])");
        json!({ "type": "string", "pattern": format!("^http://{host}(:{PORT})?([/?#][!-~]*)?$") })
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

    fn schema() -> Json {
        let host = "(localhost|127(\\.[0-9]{1,3}){3}|\\[::1\\])";
        json!({ "type": "string", "pattern": format!("^https://{host}(:{PORT})?([/?#][!-~]*)?$") })
    }
}

impl Scalar for Socket {
    const WHAT: &'static str = "an address with port";
    const EXAMPLE: &'static str = "127.0.0.1:6443 or \"[::1]:6443\"";

    fn from_text(text: &str) -> Result<Self, String> {
        // Names would need DNS, which may be what is broken when health matters.
        match text.parse::<SocketAddr>() {
            Ok(socket) if socket.port() != 0 => Ok(Socket(text.to_owned())),
            _ => Err("it is an IP address, ':' and a port from 1 to 65535".to_owned()),
        }
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": format!("^({IPV4}|\\[{IPV6}\\]):{PORT}$") })
    }
}

/// A URL whose host is an IP address or `localhost`.
fn url(text: &str, scheme: &str) -> Result<String, String> {
    let rest = text.strip_prefix(scheme).ok_or_else(|| format!("it begins with '{scheme}'"))?;
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err("a URL has no white space or control characters".to_owned());
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let bracketed = |text: &str| text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).map(str::to_owned);
    let good = match authority.parse::<SocketAddr>() {
        Ok(socket) => socket.port() != 0,
        Err(_) => {
            let port = |text: &str| text.parse::<u16>().is_ok_and(|port| port != 0);
            authority == "localhost"
                || authority.strip_prefix("localhost:").is_some_and(port)
                || authority.parse::<Ipv4Addr>().is_ok()
                || bracketed(authority).is_some_and(|address| address.parse::<Ipv6Addr>().is_ok())
        }
    };
    if good {
        Ok(text.to_owned())
    } else {
        Err("its host is an IP address, IPv6 in brackets: names need DNS, which may be what is broken".to_owned())
    }
}

/// 1 to 65535; five digits above that are the parser's to judge.
const PORT: &str = "[1-9][0-9]{0,4}";
