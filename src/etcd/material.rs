//! The node's key, certificate and cluster CA, and the TLS configurations made of them.
//!
//! One certificate serves all of a master's roles; a peer is who its certificate's DNS name says, and only names
//! of the manifest count. Pure: bytes in, configurations out.

use crate::ident::NodeName;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use x509_parser::extensions::GeneralName;

pub use crate::pki::{CA, CERTIFICATE, KEY};

/// Key material in PEM, as it lies on the host.
#[derive(Clone, PartialEq, Eq)]
pub struct Material {
    key: Vec<u8>,
    certificate: Vec<u8>,
    ca: Vec<u8>,
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material").finish_non_exhaustive()
    }
}

/// Why key material is not usable.
#[derive(Debug, thiserror::Error)]
pub enum MaterialError {
    /// A PEM file does not hold what it should.
    #[error("'{file}' holds no usable {kind}: {why}")]
    Pem {
        /// Its name.
        file: &'static str,
        /// What was looked for.
        kind: &'static str,
        /// The parser's words.
        why: String,
    },
    /// The pieces do not fit each other.
    #[error("the key, certificate and cluster CA do not fit together: {0}")]
    Unfit(String),
}

impl Material {
    /// The material of these PEM bytes.
    pub fn new(key: Vec<u8>, certificate: Vec<u8>, ca: Vec<u8>) -> Self {
        Self { key, certificate, ca }
    }

    /// The private key.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The certificate.
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// The cluster CA.
    pub fn ca(&self) -> &[u8] {
        &self.ca
    }

    /// How this master speaks to others.
    ///
    /// # Errors
    /// Names the file that is not usable.
    pub fn client(&self) -> Result<Arc<ClientConfig>, MaterialError> {
        let (certificates, key) = self.identity()?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_root_certificates(self.roots()?)
            .with_client_auth_cert(certificates, key)
            .map_err(unfit)?;
        // A session of before a certificate was renewed would keep the old identity alive.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(Arc::new(config))
    }

    /// How this master is spoken to: only by holders of a certificate of the cluster CA.
    ///
    /// # Errors
    /// Names the file that is not usable.
    pub fn server(&self) -> Result<Arc<ServerConfig>, MaterialError> {
        let (certificates, key) = self.identity()?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(self.roots()?), provider.clone())
            .build()
            .map_err(|error| MaterialError::Unfit(error.to_string()))?;
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(unfit)?
            .with_client_cert_verifier(verifier)
            .with_single_cert(certificates, key)
            .map_err(unfit)?;
        Ok(Arc::new(config))
    }

    /// The master that the certificate was issued to: its first name and its first address (`pki::profile`).
    pub fn issued_to(&self) -> Option<(NodeName, IpAddr)> {
        let certificate = certificates(CERTIFICATE, &self.certificate).ok()?.into_iter().next()?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate).ok()?;
        let alternatives = parsed.subject_alternative_name().ok()??;
        let address = |name: &GeneralName<'_>| match name {
            GeneralName::IPAddress(bytes) => address(bytes),
            _ => None,
        };
        let address = alternatives.value.general_names.iter().find_map(address)?;
        Some((names(&certificate).into_iter().next()?, address))
    }

    fn identity(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), MaterialError> {
        let certificates = certificates(CERTIFICATE, &self.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key).map_err(|error| MaterialError::Pem {
            file: KEY,
            kind: "private key",
            why: error.to_string(),
        })?;
        Ok((certificates, key))
    }

    fn roots(&self) -> Result<RootCertStore, MaterialError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(CA, &self.ca)? {
            roots.add(certificate).map_err(unfit)?;
        }
        Ok(roots)
    }
}

/// An address as a certificate holds it (RFC 5280 §4.2.1.6).
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// The node names that a certificate proves.
pub fn names(certificate: &CertificateDer<'_>) -> Vec<NodeName> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    let Ok(Some(alternatives)) = parsed.subject_alternative_name() else { return Vec::new() };
    let dns = |name: &GeneralName<'_>| match name {
        GeneralName::DNSName(name) => name.parse().ok(),
        _ => None,
    };
    alternatives.value.general_names.iter().filter_map(dns).collect()
}

fn certificates(file: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, MaterialError> {
    let error = |why: String| MaterialError::Pem { file, kind: "certificate", why };
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|problem: rustls::pki_types::pem::Error| error(problem.to_string()))?;
    if found.is_empty() { Err(error("there is none".into())) } else { Ok(found) }
}

fn unfit(error: rustls::Error) -> MaterialError {
    MaterialError::Unfit(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};

    #[test]
    fn a_certificate_names_the_master_that_it_was_issued_to() {
        let issued = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            let key = KeyPair::generate().unwrap();
            let certificate = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
            Material::new(Vec::new(), certificate.pem().into_bytes(), Vec::new()).issued_to()
        };
        let m3 = |address: &str| Some(("m3".parse().unwrap(), address.parse().unwrap()));
        assert_eq!(issued(&["m3", "localhost", "10.0.0.3", "127.0.0.1", "::1", "10.0.0.100"]), m3("10.0.0.3"));
        assert_eq!(issued(&["m3", "fd00::3"]), m3("fd00::3"));
        assert_eq!(issued(&["m3"]), None);
        assert_eq!(Material::new(Vec::new(), Vec::new(), Vec::new()).issued_to(), None);
    }
}
