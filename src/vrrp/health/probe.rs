//! One attempt of a probe: a TCP connection, or the status line of an HTTP answer. No process is spawned, no name resolved.

use super::Outcome;
use super::target::{Endpoint, Request, endpoint};
use crate::tls::{self, Presented, Rule};
use crate::vrrp::config::Target;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A status line is at most this long; nothing more is read.
const STATUS_LINE: usize = 64;

/// Asks `target` once and takes `deadline` for it at most.
pub fn attempt(target: &Target, deadline: Duration) -> Outcome {
    match ask(target, deadline) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(error.to_string()),
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver: one deadline over connecting, sending and reading")]
fn ask(target: &Target, deadline: Duration) -> io::Result<()> {
    let start = Instant::now();
    let left = || {
        let left = deadline.saturating_sub(start.elapsed());
        // The socket takes zero for no limit at all.
        if left.is_zero() { Err(io::Error::from(io::ErrorKind::TimedOut)) } else { Ok(left) }
    };
    let Endpoint { address, request } = endpoint(target).map_err(io::Error::other)?;
    let stream = TcpStream::connect_timeout(&address, left()?)?;
    let Some(Request { host, path }) = request else { return Ok(()) };
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: quorate-vrrpd\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(left()?))?;
    stream.set_read_timeout(Some(left()?))?;
    match target {
        Target::Https(_) => {
            let config = Arc::new(client()?);
            let connection = ClientConnection::new(config, ServerName::from(address.ip())).map_err(io::Error::other)?;
            status(StreamOwned::new(connection, stream), &request, left)
        }
        _ => status(stream, &request, left),
    }
}

/// Sends the request and reads as far as the status, under the same deadline.
fn status(mut stream: impl Read + Write, request: &str, left: impl Fn() -> io::Result<Duration>) -> io::Result<()> {
    stream.write_all(request.as_bytes())?;
    let mut line = Vec::with_capacity(STATUS_LINE);
    while !line.contains(&b'\n') && line.len() < STATUS_LINE {
        // A server that drips an octet at a time has only this long for all of them.
        left()?;
        let mut octet = [0; 1];
        if stream.read(&mut octet)? == 0 {
            break;
        }
        line.extend(octet);
    }
    // HTTP/1.1 200 OK
    let code = line.split(|octet| *octet == b' ').nth(1).and_then(|code| std::str::from_utf8(code).ok());
    match code.and_then(|code| code.trim().parse::<u16>().ok()) {
        Some(200..=299) => Ok(()),
        Some(code) => Err(io::Error::other(format!("it answers {code}"))),
        None => Err(io::Error::other("it does not answer in HTTP")),
    }
}

/// What answers on loopback, and nobody else is asked over https, is this host itself, whatever its certificate says.
fn client() -> io::Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?;
    Ok(tls::judged_by(builder, ThisHost).with_no_client_auth())
}

/// Takes any certificate.
#[derive(Debug)]
struct ThisHost;

impl Rule for ThisHost {
    fn judge(&self, _: &Presented<'_>) -> Result<(), rustls::Error> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::pki_types::PrivateKeyDer;
    use rustls::{ServerConfig, ServerConnection};
    use std::net::{SocketAddr, TcpListener};

    const DEADLINE: Duration = Duration::from_secs(5);

    /// A server that reads a request and gives this answer, once.
    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(answer);
        });
        address
    }

    fn http(answer: &'static [u8]) -> Outcome {
        attempt(&Target::Http(format!("http://{}/healthz", answering(answer))), DEADLINE)
    }

    #[test]
    fn only_a_2xx_answer_passes() {
        assert_eq!(http(b"HTTP/1.1 200 OK\r\n\r\n"), Outcome::Passed);
        assert_eq!(http(b"HTTP/1.0 204 No Content\r\n\r\n"), Outcome::Passed);
        assert_eq!(http(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), Outcome::Failed("it answers 503".into()));
        assert_eq!(http(b"HTTP/1.1 301 Elsewhere\r\n\r\n"), Outcome::Failed("it answers 301".into()));
        for strange in [&b""[..], b"hello", b"HTTP/1.1 2000 \r\n", &[b'x'; 600]] {
            assert!(matches!(http(strange), Outcome::Failed(_)), "{strange:?}");
        }
    }

    #[test]
    fn a_connection_is_enough_for_tcp_and_a_closed_port_fails() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Tcp(listener.local_addr().unwrap().to_string());
        assert_eq!(attempt(&target, DEADLINE), Outcome::Passed);
        drop(listener);
        assert!(matches!(attempt(&target, DEADLINE), Outcome::Failed(_)));
    }

    #[test]
    fn a_silent_server_fails_at_the_deadline() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target::Http(format!("http://{}/", listener.local_addr().unwrap()));
        assert!(matches!(attempt(&target, Duration::from_millis(50)), Outcome::Failed(_)));
    }

    #[test]
    fn https_on_loopback_is_asked_without_verifying_its_certificate() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["somebody-else".into()]).unwrap().self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let server = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(server)).unwrap(), stream);
            let _ = stream.read(&mut [0; 512]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n");
            let _ = stream.flush();
        });
        let target = Target::Https(format!("https://{address}/livez"));
        assert_eq!(attempt(&target, DEADLINE), Outcome::Passed);
    }
}
