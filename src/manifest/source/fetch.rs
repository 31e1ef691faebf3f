//! A manifest and its signatures from an HTTPS server: bounded in time and size, and no further than the URL says.

use crate::manifest::parse;
use crate::trust::envelope;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Request, Response, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;

/// For both files together: a server that drips has this long for all of it.
pub const DEADLINE: Duration = Duration::from_secs(20);
/// For a name to be resolved and for each address to take a connection: what is lost before the network is there would
/// be sent again only after pauses that grow. One such pause of TCP, a second, fits in.
const CONNECT: Duration = Duration::from_secs(3);
const PORT: u16 = 443;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// It is no URL.
    #[error("'{0}' is no URL of a file on a server")]
    Url(String),
    /// No connection.
    #[error("'{server}' cannot be reached")]
    Unreachable {
        /// Host and port.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The connection ended before the server was known.
    #[error("'{server}' broke off before it proved who it is")]
    HungUp {
        /// Host and port.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It does not prove to be the server.
    #[error("'{server}' does not prove who it is")]
    Identity {
        /// Host and port.
        server: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Too slow.
    #[error("'{0}' did not arrive within {1:?}")]
    Slow(String, Duration),
    /// It fails.
    #[error("'{url}' is answered with '{status}'")]
    Failing {
        /// Which.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// It is not there.
    #[error("'{url}' is answered with '{status}'; serve the file itself there")]
    Status {
        /// Which.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// It leads elsewhere.
    #[error("'{url}' is answered with '{status}'; redirects are not followed, name the place where the file is")]
    Redirect {
        /// Which.
        url: String,
        /// The status.
        status: StatusCode,
    },
    /// Compressed or otherwise changed on the way.
    #[error("'{url}' is encoded as '{encoding}'; serve the file as it is")]
    Encoded {
        /// Which.
        url: String,
        /// How.
        encoding: String,
    },
    /// Larger than anything sensible.
    #[error("'{url}' has more than {most} bytes; check that it is the right file")]
    TooLarge {
        /// Which.
        url: String,
        /// How large it may be.
        most: usize,
    },
    /// The exchange broke off.
    #[error("'{url}' broke off")]
    BrokeOff {
        /// Which.
        url: String,
        /// Why.
        #[source]
        source: hyper::Error,
    },
}

impl FetchError {
    /// Whether trying again may be enough: a server that is away says nothing about the manifest.
    pub fn passes(&self) -> bool {
        let away = matches!(self, Self::Unreachable { .. } | Self::HungUp { .. } | Self::Slow(..));
        away || matches!(self, Self::Failing { .. } | Self::BrokeOff { .. })
    }

    /// Whether nobody answered at all, not even to refuse: as it is before the network is there.
    pub fn is_silence(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.kind() != io::ErrorKind::ConnectionRefused)
    }
}

/// Fetches the manifest at `url` and its signatures at `url` with `.sig`, both within `deadline`.
///
/// # Errors
/// Says what stood in the way; [`FetchError::passes`] tells whether it may pass.
pub async fn fetch(url: &str, tls: ClientConfig, deadline: Duration) -> Result<(Vec<u8>, Vec<u8>), FetchError> {
    let tls = TlsConnector::from(Arc::new(tls));
    let both = async {
        let manifest = file(url, &tls, parse::MOST_BYTES).await?;
        let signature = file(&format!("{url}.sig"), &tls, envelope::MOST_BYTES).await?;
        Ok((manifest, signature))
    };
    tokio::time::timeout(deadline, both).await.unwrap_or_else(|_| Err(FetchError::Slow(url.to_owned(), deadline)))
}

async fn file(url: &str, tls: &TlsConnector, most: usize) -> Result<Vec<u8>, FetchError> {
    let no_url = || FetchError::Url(url.to_owned());
    let uri: Uri = url.parse().map_err(|_| no_url())?;
    let host = uri.host().ok_or_else(no_url)?;
    // An IPv6 address stands in brackets.
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(PORT);
    let server = format!("{host}:{port}");
    let name = ServerName::try_from(bare.to_owned()).map_err(|_| no_url())?;
    let request = Request::get(uri.path())
        .header(header::HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(header::USER_AGENT, concat!("quorate/", env!("CARGO_PKG_VERSION")))
        .header(header::ACCEPT_ENCODING, "identity")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|_| no_url())?;

    let stream =
        connect(bare, port).await.map_err(|source| FetchError::Unreachable { server: server.clone(), source })?;
    let stream = tls.connect(name, stream).await.map_err(|source| {
        // A handshake that the library refuses is a matter of certificates; any other is a connection that broke.
        match source.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
            true => FetchError::Identity { server, source },
            false => FetchError::HungUp { server, source },
        }
    })?;
    let broke_off = |source| FetchError::BrokeOff { url: url.to_owned(), source };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broke_off)?;
    let answer = async { read(url, sender.send_request(request).await.map_err(broke_off)?, most).await };
    // The connection has to be driven while the answer is awaited; an error of it shows in the answer.
    let driven = async {
        let _ended = connection.await;
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = driven => never,
    }
}

/// The first of the host's addresses that takes a connection.
async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let addresses = within(CONNECT, lookup_host((host, port))).await?;
    let mut last = io::Error::other("its name has no address");
    for address in addresses {
        match within(CONNECT, TcpStream::connect(address)).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn within<T>(limit: Duration, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// The body of an answer that is the file itself.
async fn read(url: &str, answer: Response<Incoming>, most: usize) -> Result<Vec<u8>, FetchError> {
    let (status, url) = (answer.status(), url.to_owned());
    if status.is_redirection() {
        return Err(FetchError::Redirect { url, status });
    }
    if status.is_server_error() {
        return Err(FetchError::Failing { url, status });
    }
    if status != StatusCode::OK {
        return Err(FetchError::Status { url, status });
    }
    if let Some(encoding) = answer.headers().get(header::CONTENT_ENCODING).filter(|value| *value != "identity") {
        return Err(FetchError::Encoded { url, encoding: encoding.to_str().unwrap_or("something unreadable").into() });
    }
    if answer.body().size_hint().lower() > u64::try_from(most).unwrap_or(u64::MAX) {
        return Err(FetchError::TooLarge { url, most });
    }
    match Limited::new(answer.into_body(), most).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        // Of the two that can fail here, the limit is the other one.
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(source) => FetchError::BrokeOff { url, source: *source },
            Err(_) => FetchError::TooLarge { url, most },
        }),
    }
}
