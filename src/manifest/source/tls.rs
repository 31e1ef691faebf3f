//! Whom a manifest's server has to prove to be: a CA of the image, of a file, or one known by the digest of its key.
//!
//! No public CA is trusted. The signature protects the manifest; this protects the question, so that nobody learns who
//! asks for what, and nobody in between withholds a newer generation for long without being noticed.

use super::cmdline::Authority;
use crate::ident::Digest;
use crate::paths::Paths;
use crate::tls::{self, Presented, Rule};
use jiff::Timestamp;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use x509_parser::prelude::{FromDer, X509Certificate};

/// A list of certificates larger than this is a mistake.
const MOST_BYTES: u64 = 1 << 20;

/// Why nobody can vouch for a server.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// No CA is named, and the image has none.
    #[error(
        "no CA is pinned for it: add 'quorate.ca=sha256:…' or 'quorate.ca=/path' to the kernel command line, or bake '{}'",
        .0.display()
    )]
    None(PathBuf),
    /// The file cannot be read.
    #[error("the CA '{}' cannot be read", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds no certificate.
    #[error("'{}' holds no certificate; write the CA there, in PEM", .0.display())]
    Empty(PathBuf),
    /// The library refuses what it is given.
    #[error("the CA cannot be used")]
    Unusable(#[source] rustls::Error),
}

/// How to speak to a server that `authority` vouches for, as of `now`.
///
/// # Errors
/// When there is no authority, or it is unusable.
pub fn client(authority: &Authority, paths: &Paths, now: Timestamp) -> Result<ClientConfig, AuthorityError> {
    let builder = ClientConfig::builder_with_details(Arc::new(ring::default_provider()), Arc::new(At(now)))
        .with_safe_default_protocol_versions()
        .map_err(AuthorityError::Unusable)?;
    Ok(match authority {
        Authority::Key(digest) => tls::judged_by(builder, PinnedKey(*digest)).with_no_client_auth(),
        Authority::File(path) => match roots(path)? {
            Some(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
            None => {
                let source = io::ErrorKind::NotFound.into();
                return Err(AuthorityError::Unreadable { path: path.clone(), source });
            }
        },
        Authority::Image => match roots(&paths.https_ca())? {
            Some(roots) => builder.with_root_certificates(roots).with_no_client_auth(),
            None => return Err(AuthorityError::None(paths.https_ca())),
        },
    })
}

fn roots(path: &Path) -> Result<Option<RootCertStore>, AuthorityError> {
    let unreadable = |source| AuthorityError::Unreadable { path: path.to_owned(), source };
    let text = match super::pair::file(path, MOST_BYTES) {
        Ok(Some(text)) => text,
        Ok(None) => return Ok(None),
        Err(error) => return Err(unreadable(io::Error::other(error))),
    };
    let blocks = pem::parse_many(text).map_err(|error| unreadable(io::Error::other(error)))?;
    let mut roots = RootCertStore::empty();
    for block in blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE") {
        roots.add(block.into_contents().into()).map_err(AuthorityError::Unusable)?;
    }
    if roots.is_empty() { Err(AuthorityError::Empty(path.to_owned())) } else { Ok(Some(roots)) }
}

/// A clock that stands: a host whose own is at 1970 still knows that the image is younger.
#[derive(Debug)]
struct At(Timestamp);

impl TimeProvider for At {
    fn current_time(&self) -> Option<UnixTime> {
        u64::try_from(self.0.as_second()).ok().map(|second| UnixTime::since_unix_epoch(Duration::from_secs(second)))
    }
}

/// Takes the certificate with that key, out of those that the server sends, for the only root there is.
#[derive(Debug)]
struct PinnedKey(Digest);

impl Rule for PinnedKey {
    fn judge(&self, presented: &Presented<'_>) -> Result<(), rustls::Error> {
        let Presented { server, others, name, ocsp, now, provider } = *presented;
        let is_pinned = |certificate: &&CertificateDer<'_>| {
            X509Certificate::from_der(certificate)
                .is_ok_and(|(_, certificate)| Digest::of(certificate.public_key().raw) == self.0)
        };
        let Some(root) = others.iter().chain([server]).find(is_pinned) else {
            return Err(rustls::Error::General(format!("no certificate that it sends has the key sha256:{}", self.0)));
        };
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?
            .verify_server_cert(server, others, name, ocsp, now)
            .map(drop)
    }
}
