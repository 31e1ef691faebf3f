//! Making keys and certificates after a profile. Draws keys from the system's random source; touches no file.

use super::bundle::Bundle;
use super::profile::{Profile, Purpose};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, SanType,
};
use time::OffsetDateTime;

/// Why a certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The CA's own files.
    #[error("the cluster CA is not usable")]
    Authority(#[source] rcgen::Error),
    /// A name that cannot stand in a certificate.
    #[error("'{0}' cannot stand in a certificate")]
    Name(String, #[source] rcgen::Error),
    /// Key generation or signing.
    #[error("cannot make a certificate for '{0}'")]
    Make(String, #[source] rcgen::Error),
}

/// A cluster CA with its private key.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new CA. ECDSA P-256: Go's TLS, rustls and hardware tokens all have it.
    ///
    /// # Errors
    /// When the random source or the signature fails.
    pub fn create(profile: &Profile) -> Result<Self, IssueError> {
        let make = |error| IssueError::Make(profile.common_name.clone(), error);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?;
        let params = params(profile)?;
        let certificate = params.self_signed(&key).map_err(make)?.pem();
        Ok(Self { issuer: Issuer::new(params, key), certificate })
    }

    /// A CA that was made before, from its PEM files.
    ///
    /// # Errors
    /// When they are no certificate and key.
    pub fn load(certificate: &str, key: &str) -> Result<Self, IssueError> {
        let key = KeyPair::from_pem(key).map_err(IssueError::Authority)?;
        let issuer = Issuer::from_ca_cert_pem(certificate, key).map_err(IssueError::Authority)?;
        Ok(Self { issuer, certificate: certificate.to_owned() })
    }

    /// Its certificate, PEM.
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Its private key, PEM.
    pub fn key(&self) -> String {
        self.issuer.key().serialize_pem()
    }

    /// A new key and certificate after `profile`.
    ///
    /// # Errors
    /// When a name of the profile is not usable, or the random source or the signature fails.
    pub fn issue(&self, profile: &Profile) -> Result<Bundle, IssueError> {
        let make = |error| IssueError::Make(profile.common_name.clone(), error);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(make)?;
        let certificate = params(profile)?.signed_by(&key, &self.issuer).map_err(make)?;
        Ok(Bundle::new(key.serialize_pem(), certificate.pem(), self.certificate.clone()))
    }
}

fn params(profile: &Profile) -> Result<CertificateParams, IssueError> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, profile.common_name.clone());
    for name in &profile.names {
        let name = name.as_str().try_into().map_err(|error| IssueError::Name(name.clone(), error))?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    params.subject_alt_names.extend(profile.addresses.iter().map(|address| SanType::IpAddress(*address)));
    params.not_before = date(profile.not_before);
    params.not_after = date(profile.not_after);
    match profile.purpose {
        Purpose::Authority => {
            // Zero: it signs node certificates and no further CA.
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        }
        Purpose::Node => {
            params.is_ca = IsCa::ExplicitNoCa;
            params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
            params.use_authority_key_identifier_extension = true;
        }
    }
    Ok(params)
}

fn date(at: jiff::Timestamp) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(at.as_second()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
