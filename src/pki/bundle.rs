//! The node bundle: one PEM file with a master's private key, its certificate, and the cluster CA, in that order.
//!
//! A bundle is not signed like a manifest: what it may do is bounded by the CA that the other masters trust. Before it is
//! put in force it is checked for all that etcd would trip over later, at 3 a.m. and in fewer words.

use crate::ident::Digest;
use jiff::Timestamp;
use pem::Pem;
use rcgen::{KeyPair, PublicKeyData};
use std::fmt;
use std::net::IpAddr;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// No honest bundle is larger: three PEM blocks of a few hundred bytes each.
pub const MOST_BYTES: usize = crate::manifest::MOST_BUNDLE_BYTES;

/// A private key with its certificate and the CA, in PEM, and what the certificates say.
#[derive(Clone, PartialEq, Eq)]
pub struct Bundle {
    key: String,
    certificate: String,
    ca: String,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bundle").field("certificate", &Digest::of(self.certificate.as_bytes())).finish_non_exhaustive()
    }
}

/// Why a bundle cannot be used by this master.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The file cannot be read.
    #[error("it cannot be read: {0}")]
    Unreadable(String),
    /// It is not the three blocks that make a bundle.
    #[error("it is not a node bundle (private key, certificate, cluster CA): {0}")]
    Form(String),
    /// Key and certificate do not belong together.
    #[error("its private key does not belong to its certificate")]
    Key,
    /// The certificate was signed by somebody else.
    #[error("its certificate was not issued by its CA")]
    Issuer,
    /// The CA is not the one that the manifest pins.
    #[error("its CA has fingerprint sha256:{found}, the manifest pins sha256:{pinned} (spec.pki.ca)")]
    Authority {
        /// Of the bundle.
        found: Digest,
        /// Of the manifest.
        pinned: Digest,
    },
    /// It is another master's.
    #[error("it was issued to '{found}', this master is '{wanted}'")]
    Name {
        /// Its subject.
        found: String,
        /// This master.
        wanted: String,
    },
    /// It does not cover the master's address.
    #[error("its certificate does not cover this master's address {0}; issue it again with this manifest")]
    Address(IpAddr),
    /// It may not act as server and client.
    #[error("its certificate does not allow both server and client authentication")]
    Usage,
    /// Too early.
    #[error("its certificate is valid only from {0}; check this host's clock")]
    NotYet(Timestamp),
    /// Too late.
    #[error("its certificate expired at {0}; issue a new one with 'quorate pki issue --renew' and drop it")]
    Expired(Timestamp),
}

/// What a bundle has to be good for.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The master.
    pub name: &'a str,
    /// Its address.
    pub address: IpAddr,
    /// The CA, when it is pinned.
    pub ca: Option<Digest>,
}

/// From when until when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// First moment.
    pub not_before: Timestamp,
    /// Last moment.
    pub not_after: Timestamp,
}

impl Bundle {
    /// A bundle of these PEM blocks, just issued.
    pub(super) fn new(key: String, certificate: String, ca: String) -> Self {
        Self { key, certificate, ca }
    }

    /// Reads the three blocks.
    ///
    /// # Errors
    /// When they are not there, in this order.
    pub fn read(text: &[u8]) -> Result<Self, Fault> {
        let blocks = pem::parse_many(text).map_err(|error| Fault::Form(error.to_string()))?;
        let labels: Vec<&str> = blocks.iter().map(Pem::tag).collect();
        let ["PRIVATE KEY", "CERTIFICATE", "CERTIFICATE"] = labels.as_slice() else {
            let found = if labels.is_empty() { "nothing".to_owned() } else { labels.join(", ") };
            return Err(Fault::Form(format!("it holds {found}")));
        };
        // Written anew, block by block: comments and white space between them have no meaning.
        let mut written = blocks.iter().map(pem::encode);
        let mut next = || written.next().unwrap_or_default();
        let bundle = Self { key: next(), certificate: next(), ca: next() };
        bundle.validity()?;
        Ok(bundle)
    }

    /// The private key, PEM.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// The cluster CA, PEM.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// The whole file.
    pub fn to_pem(&self) -> String {
        format!("{}{}{}", self.key, self.certificate, self.ca)
    }

    /// When its certificate is valid.
    ///
    /// # Errors
    /// When its certificate cannot be read.
    pub fn validity(&self) -> Result<Validity, Fault> {
        validity(&self.certificate)
    }

    /// When its CA is valid.
    ///
    /// # Errors
    /// When the CA's certificate cannot be read.
    pub fn authority_validity(&self) -> Result<Validity, Fault> {
        validity(&self.ca)
    }

    /// Everything that keeps it from serving as `expected` at `now`; nothing when it is good.
    pub fn faults(&self, expected: &Expected<'_>, now: Timestamp) -> Vec<Fault> {
        match self.examine(expected, now) {
            Ok(faults) => faults,
            Err(fault) => vec![fault],
        }
    }

    fn examine(&self, expected: &Expected<'_>, now: Timestamp) -> Result<Vec<Fault>, Fault> {
        let (node, ca) = (der(&self.certificate)?, der(&self.ca)?);
        let (certificate, authority) = (parsed(&node)?, parsed(&ca)?);
        let key = KeyPair::from_pem(&self.key).map_err(|error| Fault::Form(error.to_string()))?;
        let validity = self.validity()?;
        let found = Digest::of(&ca);
        let name = common_name(&certificate);
        let mut faults = Vec::new();
        let mut require = |good: bool, fault: Fault| {
            if !good {
                faults.push(fault);
            }
        };
        require(key.der_bytes() == certificate.public_key().subject_public_key.data.as_ref(), Fault::Key);
        require(certificate.verify_signature(Some(authority.public_key())).is_ok(), Fault::Issuer);
        if let Some(pinned) = expected.ca {
            require(found == pinned, Fault::Authority { found, pinned });
        }
        require(name == expected.name, Fault::Name { found: name.clone(), wanted: expected.name.to_owned() });
        require(covers(&certificate, expected.address), Fault::Address(expected.address));
        require(serves_both_ways(&certificate), Fault::Usage);
        require(now >= validity.not_before, Fault::NotYet(validity.not_before));
        require(now <= validity.not_after, Fault::Expired(validity.not_after));
        Ok(faults)
    }
}

/// The fingerprint of a CA certificate as `spec.pki.ca` pins it: SHA-256 of its DER form.
///
/// # Errors
/// When the text is no certificate.
pub fn fingerprint(ca: &str) -> Result<Digest, Fault> {
    der(ca).map(|der| Digest::of(&der))
}

fn validity(certificate: &str) -> Result<Validity, Fault> {
    let der = der(certificate)?;
    let validity = parsed(&der)?.validity().clone();
    let moment = |seconds| Timestamp::from_second(seconds).map_err(|error| Fault::Form(error.to_string()));
    Ok(Validity {
        not_before: moment(validity.not_before.timestamp())?,
        not_after: moment(validity.not_after.timestamp())?,
    })
}

fn der(block: &str) -> Result<Vec<u8>, Fault> {
    pem::parse(block).map(Pem::into_contents).map_err(|error| Fault::Form(error.to_string()))
}

fn parsed(der: &[u8]) -> Result<X509Certificate<'_>, Fault> {
    X509Certificate::from_der(der).map(|(_, certificate)| certificate).map_err(|error| Fault::Form(error.to_string()))
}

fn common_name(certificate: &X509Certificate<'_>) -> String {
    certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or("").to_owned()
}

fn covers(certificate: &X509Certificate<'_>, address: IpAddr) -> bool {
    let octets = match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    certificate.subject_alternative_name().ok().flatten().is_some_and(|extension| {
        let names = &extension.value.general_names;
        names.iter().any(|name| matches!(name, GeneralName::IPAddress(found) if **found == octets))
    })
}

fn serves_both_ways(certificate: &X509Certificate<'_>) -> bool {
    certificate
        .extended_key_usage()
        .ok()
        .flatten()
        .is_some_and(|extension| extension.value.server_auth && extension.value.client_auth)
}

#[cfg(test)]
mod tests;
