//! Where a probe's target is: read once when the configuration is checked, so that one that could never answer is refused and not
//! mistaken for a sick service.

use crate::vrrp::config::Target;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const HTTP_PORT: u16 = 80;
const HTTPS_PORT: u16 = 443;

/// What a target says when it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// Where to connect.
    pub address: SocketAddr,
    /// What to ask there; nothing where a connection is enough.
    pub request: Option<Request<'a>>,
}

/// An HTTP request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request<'a> {
    /// As the URL has it, for the `Host` header.
    pub host: &'a str,
    /// With its slash.
    pub path: &'a str,
}

/// Reads a target. No name is resolved: a probe must not fail because a resolver does.
///
/// # Errors
/// Says what to write instead.
pub fn endpoint(target: &Target) -> Result<Endpoint<'_>, String> {
    match target {
        Target::Tcp(socket) => {
            let address =
                socket.parse().map_err(|_| "it is no address with a port, such as 127.0.0.1:6443".to_owned())?;
            Ok(Endpoint { address, request: None })
        }
        Target::Http(url) => located(url, "http://", HTTP_PORT),
        Target::Https(url) => {
            let endpoint = located(url, "https://", HTTPS_PORT)?;
            // The daemon holds no certificates and trusts no authority: nobody else could be verified.
            if endpoint.address.ip().is_loopback() {
                Ok(endpoint)
            } else {
                Err("over https only this host's own loopback is asked, such as https://127.0.0.1:6443/livez".into())
            }
        }
    }
}

fn located<'a>(url: &'a str, scheme: &str, port: u16) -> Result<Endpoint<'a>, String> {
    let bad = || format!("it is no URL with an address as its host, such as {scheme}127.0.0.1/healthz");
    let rest = url.strip_prefix(scheme).ok_or_else(bad)?;
    let (host, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
    let address = match host.strip_prefix("localhost") {
        Some("") => Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        Some(given) => given
            .strip_prefix(':')
            .and_then(|given| given.parse().ok())
            .map(|given: u16| (Ipv4Addr::LOCALHOST, given).into()),
        None => host.parse().ok().or_else(|| {
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            bare.parse().ok().map(|address: IpAddr| SocketAddr::new(address, port))
        }),
    };
    Ok(Endpoint { address: address.ok_or_else(bad)?, request: Some(Request { host, path }) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_addresses_with_and_without_port_and_path() {
        let read = |target: Target| endpoint(&target).ok().map(|endpoint| endpoint.address.to_string());
        let http = |url: &str| read(Target::Http(url.into()));
        assert_eq!(http("http://127.0.0.1").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(http("http://127.0.0.1:81/x?y").as_deref(), Some("127.0.0.1:81"));
        assert_eq!(http("http://[::1]/x").as_deref(), Some("[::1]:80"));
        assert_eq!(http("http://[::1]:81/x").as_deref(), Some("[::1]:81"));
        assert_eq!(http("http://localhost:81/x").as_deref(), Some("127.0.0.1:81"));
        assert_eq!(http("http://10.9.0.12/x").as_deref(), Some("10.9.0.12:80"));
        for bad in ["http://localhostess/", "http://example.org/", "ftp://127.0.0.1/", "http:///x", "nonsense"] {
            assert_eq!(http(bad), None, "{bad}");
        }
        assert_eq!(read(Target::Tcp("127.0.0.1:6443".into())).as_deref(), Some("127.0.0.1:6443"));
        for bad in ["kube:6443", "127.0.0.1", "nonsense"] {
            assert_eq!(read(Target::Tcp(bad.into())), None, "{bad}");
        }
    }

    #[test]
    fn https_is_for_loopback_since_nobody_else_could_be_verified() {
        let https = |url: &str| endpoint(&Target::Https(url.into())).is_ok();
        assert!(
            https("https://127.0.0.1:6443/livez") && https("https://[::1]:6443/livez") && https("https://localhost")
        );
        assert!(!https("https://10.9.0.11:6443/livez"));
    }
}
