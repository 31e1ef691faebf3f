//! An HTTPS server that answers as it is told to, byte for byte.

use quorate::ident::Digest;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PublicKeyData};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// A client that hangs must not hold up the end of a test.
const PATIENCE: Duration = Duration::from_secs(5);

/// How a path is answered.
#[derive(Debug, Clone)]
pub enum Answer {
    /// With these bytes, after which the connection ends.
    Raw(Vec<u8>),
    /// One byte now and then, until the client goes away.
    Drip,
}

impl Answer {
    /// A file.
    pub fn file(content: &[u8]) -> Self {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
        Self::Raw([head.as_bytes(), content].concat())
    }

    /// A status without content, with further header lines.
    pub fn status(status: &str, headers: &str) -> Self {
        Self::Raw(format!("HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\nConnection: close\r\n\r\n").into_bytes())
    }
}

/// What is there, by path.
pub type Pages = BTreeMap<String, Answer>;

/// A server that ends with its owner.
#[derive(Debug)]
pub struct Server {
    pub address: SocketAddr,
    /// Its CA.
    pub ca_pem: String,
    /// The digest of the CA's public key.
    pub ca_key: Digest,
    pub pages: Arc<Mutex<Pages>>,
    /// How many connections it took.
    pub asked: Arc<AtomicUsize>,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// Listens on `ip`, with a certificate for `name` from a CA of its own that it sends along.
    pub fn start(ip: IpAddr, name: &str, pages: Pages) -> Self {
        Self::start_with(ip, name, pages, |_| {})
    }

    /// The same, with a certificate that `change` made.
    pub fn start_with(ip: IpAddr, name: &str, pages: Pages, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let ca_key = KeyPair::generate().unwrap();
        let mut ca = CertificateParams::default();
        ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        let digest = Digest::of(&ca_key.subject_public_key_info());
        // Two CAs are two names, too.
        ca.distinguished_name.push(DnType::CommonName, digest.short());
        let ca_certificate = ca.self_signed(&ca_key).unwrap();
        let issuer = Issuer::new(ca, ca_key);
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let chain = vec![certificate.der().clone(), ca_certificate.der().clone()];
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        let config = Arc::new(config.with_no_client_auth().with_single_cert(chain, key).unwrap());

        let listener = TcpListener::bind((ip, 0)).unwrap();
        let (address, pages) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(pages)));
        let (asked, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (served, count, end) = (Arc::clone(&pages), Arc::clone(&asked), Arc::clone(&ended));
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if end.load(Ordering::Relaxed) {
                    break;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let (config, pages) = (Arc::clone(&config), Arc::clone(&served));
                thread::spawn(move || serve(stream, config, &pages));
            }
        });
        Self { address, ca_pem: ca_certificate.pem(), ca_key: digest, pages, asked, ended }
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://{}{path}", self.address)
    }

    pub fn answer(&self, path: &str, answer: Answer) {
        self.pages.lock().unwrap().insert(path.into(), answer);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts, which then lets the port go.
        let _woken = TcpStream::connect_timeout(&self.address, PATIENCE);
    }
}

/// A client that breaks off is what some tests want to see: every error only ends the connection.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, pages: &Mutex<Pages>) {
    let limited = stream.set_read_timeout(Some(PATIENCE)).is_ok() && stream.set_write_timeout(Some(PATIENCE)).is_ok();
    let Some(connection) = limited.then(|| ServerConnection::new(config).ok()).flatten() else { return };
    let mut stream = StreamOwned::new(connection, stream);
    let mut request = Vec::new();
    let mut byte = [0; 1];
    while !request.ends_with(b"\r\n\r\n") && request.len() < 4096 {
        match stream.read(&mut byte) {
            Ok(1) => request.extend(byte),
            _ => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let answer = pages.lock().unwrap().get(path).cloned();
    match answer.unwrap_or_else(|| Answer::status("404 Not Found", "")) {
        Answer::Raw(bytes) => {
            let _sent = stream.write_all(&bytes);
            stream.conn.send_close_notify();
            let _sent = stream.flush();
        }
        Answer::Drip => {
            let head = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
            while head.is_ok() && stream.write_all(b"#").and_then(|()| stream.flush()).is_ok() {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }
}
