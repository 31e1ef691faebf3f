//! Servers whose certificate is judged by a rule of our own. The one place that steps around what rustls judges by.
//!
//! A rule says whether a certificate will do. That the server holds the key of that certificate is not left to any rule:
//! rustls verifies it in every handshake.

use rustls::client::WantsClientCert;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, ConfigBuilder, DigitallySignedStruct, SignatureScheme, WantsVerifier};
use std::fmt::Debug;
use std::sync::Arc;

/// What a server presents, and to whom it should belong.
#[derive(Debug)]
pub struct Presented<'a> {
    /// Its own certificate.
    pub server: &'a CertificateDer<'a>,
    /// What it sends along.
    pub others: &'a [CertificateDer<'a>],
    /// Whom it should be.
    pub name: &'a ServerName<'a>,
    /// What it sends along of its certificate's revocation.
    pub ocsp: &'a [u8],
    /// The time to judge by.
    pub now: UnixTime,
    /// The algorithms.
    pub provider: &'a Arc<CryptoProvider>,
}

/// Whether a certificate will do.
pub trait Rule: Debug + Send + Sync + 'static {
    /// Judges what a server presents.
    ///
    /// # Errors
    /// Says why it will not do.
    fn judge(&self, presented: &Presented<'_>) -> Result<(), rustls::Error>;
}

/// A client that takes the servers that `rule` takes, if they hold their keys.
pub fn judged_by(
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    rule: impl Rule,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let provider = Arc::clone(builder.crypto_provider());
    builder.dangerous().with_custom_certificate_verifier(Arc::new(Judged { rule, provider }))
}

#[derive(Debug)]
struct Judged<R> {
    rule: R,
    provider: Arc<CryptoProvider>,
}

impl<R: Rule> ServerCertVerifier for Judged<R> {
    fn verify_server_cert(
        &self,
        server: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.rule.judge(&Presented { server, others, name, ocsp, now, provider: &self.provider })?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair};
    use rustls::crypto::ring;
    use rustls::pki_types::PrivateKeyDer;
    use rustls::server::ResolvesServerCertUsingSni;
    use rustls::sign::CertifiedKey;
    use rustls::version::{TLS12, TLS13};
    use rustls::{ClientConnection, ServerConfig, ServerConnection, SupportedProtocolVersion};

    #[derive(Debug)]
    struct Anybody;

    impl Rule for Anybody {
        fn judge(&self, _: &Presented<'_>) -> Result<(), rustls::Error> {
            Ok(())
        }
    }

    /// A handshake with a server that shows the certificate of `shown` and signs with `held`.
    fn handshake(shown: &KeyPair, held: &KeyPair, version: &'static SupportedProtocolVersion) -> Result<(), String> {
        let provider = Arc::new(ring::default_provider());
        let certificate = CertificateParams::new(["server".to_owned()]).unwrap().self_signed(shown).unwrap();
        let held = PrivateKeyDer::try_from(held.serialize_der()).unwrap();
        let held = provider.key_provider.load_private_key(held).unwrap();
        let mut resolver = ResolvesServerCertUsingSni::new();
        resolver.add("server", CertifiedKey::new(vec![certificate.der().clone()], held)).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[version])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(resolver));
        let client = ClientConfig::builder_with_provider(provider).with_protocol_versions(&[version]).unwrap();
        let client = judged_by(client, Anybody).with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(client), "server".try_into().unwrap()).unwrap();
        let mut server = ServerConnection::new(Arc::new(server)).unwrap();
        while client.is_handshaking() {
            let mut wire = Vec::new();
            client.write_tls(&mut wire).unwrap();
            server.read_tls(&mut &wire[..]).unwrap();
            server.process_new_packets().unwrap();
            wire.clear();
            server.write_tls(&mut wire).unwrap();
            client.read_tls(&mut &wire[..]).unwrap();
            client.process_new_packets().map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    #[test]
    fn whatever_the_rule_takes_the_server_has_to_hold_its_key() {
        let [one, other] = [(); 2].map(|()| KeyPair::generate().unwrap());
        for version in [&TLS12, &TLS13] {
            assert_eq!(handshake(&one, &one, version), Ok(()), "{version:?}");
            let refused = handshake(&one, &other, version).unwrap_err();
            assert_eq!(refused, "invalid peer certificate: BadSignature", "{version:?}");
        }
    }
}
