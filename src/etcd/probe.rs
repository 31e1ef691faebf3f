//! One HTTPS exchange with another master, with a deadline on everything; and the look at its etcd peer port.
//!
//! etcd's peer port answers `/members` without quorum, so it tells whether a cluster exists when nothing else does.
//! Its answer may be stale: it is evidence, never a ground for a change. Only a refused connection says that
//! nothing listens; every other failure is unknown.

use super::PEER_PORT;
use super::cluster::{Listed, PeerSeen, Role};
use crate::ident::NodeName;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// For a connection and its TLS handshake. Masters are near each other; a dead one must not hold up a run.
pub const CONNECT_DEADLINE: Duration = Duration::from_millis(1000);
/// For a whole exchange.
pub const EXCHANGE_DEADLINE: Duration = Duration::from_millis(2000);
/// An answer has a few hundred bytes per master; more than this is not one.
pub const BODY_LIMIT_BYTES: usize = 64 * 1024;

/// Why an exchange gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The host answered that nothing listens there.
    #[error("nothing listens on {0}")]
    Refused(SocketAddr),
    /// No connection.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The deadline passed.
    #[error("{0} does not answer")]
    TimedOut(SocketAddr),
    /// It could not prove who it is, or did not accept this master's certificate.
    #[error("no TLS with {address}: {source}")]
    Tls {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The exchange broke off.
    #[error("{address} broke off: {why}")]
    Http {
        /// The address.
        address: SocketAddr,
        /// Why.
        why: String,
    },
}

/// Sends `request` to `name` at `address` and returns the whole answer. `name` has to be proved by the certificate.
///
/// # Errors
/// A variant per reason; only [`ProbeError::Refused`] tells something about the other side.
pub async fn exchange(
    tls: &Arc<ClientConfig>,
    name: &NodeName,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Result<Response<Bytes>, ProbeError> {
    let http = |why: String| ProbeError::Http { address, why };
    let talk = async {
        let stream = within(CONNECT_DEADLINE, address, TcpStream::connect(address)).await?.map_err(|source| {
            match source.kind() {
                std::io::ErrorKind::ConnectionRefused => ProbeError::Refused(address),
                _ => ProbeError::Connect { address, source },
            }
        })?;
        let server = ServerName::try_from(name.to_string()).map_err(|error| http(error.to_string()))?;
        let handshake = TlsConnector::from(tls.clone()).connect(server, stream);
        let stream = within(CONNECT_DEADLINE, address, handshake)
            .await?
            .map_err(|source| ProbeError::Tls { address, source })?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|error| http(error.to_string()))?;
        let answer = async {
            let (parts, body) =
                sender.send_request(request).await.map_err(|error| http(error.to_string()))?.into_parts();
            let body = Limited::new(body, BODY_LIMIT_BYTES).collect().await.map_err(|error| http(error.to_string()))?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        // The connection has to be driven while the answer is awaited. When it ends, its last bytes may not have been
        // read yet, and an error of it shows in the answer; so its own end ends nothing.
        let driven = async {
            let _ended = connection.await;
            std::future::pending().await
        };
        tokio::select! {
            answer = answer => answer,
            never = driven => never,
        }
    };
    within(EXCHANGE_DEADLINE, address, talk).await?
}

/// Looks at the peer port of `name`.
pub async fn members(tls: &Arc<ClientConfig>, name: &NodeName, address: IpAddr) -> PeerSeen {
    let address = SocketAddr::new(address, PEER_PORT);
    let request = Request::get("/members").header("host", address.to_string()).body(Full::default());
    let answer = match request {
        Ok(request) => exchange(tls, name, address, request).await,
        Err(error) => return PeerSeen::Silent { why: error.to_string() },
    };
    match answer {
        Err(ProbeError::Refused(_)) => PeerSeen::NotListening,
        Err(error) => PeerSeen::Silent { why: error.to_string() },
        Ok(answer) => read_members(&answer)
            .unwrap_or_else(|why| PeerSeen::Silent { why: format!("{address} gave no member list: {why}") }),
    }
}

/// How many milliseconds the clock of `name` is ahead of this one's, as its etcd tells on the peer port; none when it does
/// not. Zero when its answer lies between question and answer here: nearer than that nobody can tell.
pub async fn skew_ms(tls: &Arc<ClientConfig>, name: &NodeName, address: IpAddr) -> Option<i64> {
    let address = SocketAddr::new(address, PEER_PORT);
    let request = Request::get("/raft/probing").header("host", address.to_string()).body(Full::default()).ok()?;
    let asked = now();
    let answer = exchange(tls, name, address, request).await.ok()?;
    let told: WireClock = serde_json::from_slice(answer.body()).ok()?;
    Some(between(asked, told.now, now()))
}

#[derive(Deserialize)]
struct WireClock {
    #[serde(rename = "Now")]
    now: Timestamp,
}

fn between(asked: Timestamp, told: Timestamp, heard: Timestamp) -> i64 {
    let ms = |time: Timestamp| time.as_millisecond();
    if told < asked {
        ms(told) - ms(asked)
    } else if told > heard {
        ms(told) - ms(heard)
    } else {
        0
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver: it compares clocks")]
fn now() -> Timestamp {
    Timestamp::now()
}

#[derive(Deserialize)]
struct WireMember {
    id: u64,
    #[serde(default)]
    name: String,
    #[serde(rename = "peerURLs", default)]
    peer_urls: Vec<String>,
    #[serde(rename = "clientURLs", default)]
    client_urls: Vec<String>,
    #[serde(rename = "isLearner", default)]
    is_learner: bool,
}

fn read_members(answer: &Response<Bytes>) -> Result<PeerSeen, String> {
    if answer.status() != StatusCode::OK {
        return Err(answer.status().to_string());
    }
    let header = answer.headers().get("x-etcd-cluster-id").and_then(|value| value.to_str().ok());
    let cluster = header
        .and_then(|text| u64::from_str_radix(text, 16).ok())
        .ok_or_else(|| "it names no cluster id".to_owned())?;
    let members: Vec<WireMember> = serde_json::from_slice(answer.body()).map_err(|error| error.to_string())?;
    let members = members.into_iter().map(|member| Listed {
        id: member.id,
        name: member.name,
        peer_urls: member.peer_urls,
        client_urls: member.client_urls,
        role: if member.is_learner { Role::Learner } else { Role::Voter },
    });
    Ok(PeerSeen::Members { cluster, members: members.collect() })
}

async fn within<T>(deadline: Duration, address: SocketAddr, work: impl Future<Output = T>) -> Result<T, ProbeError> {
    tokio::time::timeout(deadline, work).await.map_err(|_| ProbeError::TimedOut(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(cluster: &str, body: &'static str) -> Response<Bytes> {
        Response::builder().header("X-Etcd-Cluster-Id", cluster).body(Bytes::from(body)).unwrap()
    }

    #[test]
    fn the_member_list_of_a_peer_port_is_read() {
        let body = r#"[{"id":13803658152347727308,"peerURLs":["https://10.0.0.1:2380"],"name":"m1",
            "clientURLs":["https://10.0.0.1:2379"]},{"id":2,"peerURLs":["https://10.0.0.2:2380"],"isLearner":true}]"#;
        let PeerSeen::Members { cluster, members } = read_members(&answer("cdf818194e3a8c32", body)).unwrap() else {
            panic!()
        };
        assert_eq!(cluster, 0xcdf8_1819_4e3a_8c32);
        assert!(members[0].has_run() && members[0].role == Role::Voter);
        assert!(!members[1].has_run() && members[1].role == Role::Learner && members[1].name.is_empty());
    }

    #[test]
    fn an_answer_without_cluster_id_or_with_another_body_is_no_list() {
        assert!(read_members(&answer("", "[]")).is_err());
        assert!(read_members(&answer("1", "{}")).is_err());
        let gone = Response::builder().status(404).header("X-Etcd-Cluster-Id", "1").body(Bytes::from("[]")).unwrap();
        assert!(read_members(&gone).is_err());
    }

    #[test]
    fn a_clock_is_compared_with_the_moments_of_question_and_answer() {
        let at = |second: i64| Timestamp::from_second(second).unwrap();
        for (told, skew_ms) in [(100, 0), (102, 0), (90, -10_000), (107, 5_000)] {
            assert_eq!(between(at(100), at(told), at(102)), skew_ms, "{told}");
        }
        let told: WireClock = serde_json::from_str(r#"{"OK":true,"Now":"2026-11-23T01:33:33.3448+01:00"}"#).unwrap();
        assert_eq!(told.now, "2026-11-23T00:33:33.3448Z".parse().unwrap());
    }
}
