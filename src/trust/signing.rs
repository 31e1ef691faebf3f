//! Making signatures, on the administrator's workstation: with a key file, or with a key that ssh-agent holds.
//!
//! What is signed is what `ssh-keygen -Y sign -n quorate-manifest` signs, so that either program can verify the other.
//! No private key is ever written, shown or kept.

use super::agent::{Agent, AgentError};
use super::envelope::Envelope;
use ssh_key::public::KeyData;
use ssh_key::{HashAlg, PrivateKey, PublicKey, SshSig};

/// A key that can sign.
#[derive(Debug)]
pub enum Key {
    /// From a file, not encrypted.
    File(Box<PrivateKey>),
    /// Held by ssh-agent: encrypted on disk, or on a token.
    Agent(Agent, Box<KeyData>),
}

/// Why no signature was made.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The text is no key.
    #[error("it is no OpenSSH key; give the private key, or its '.pub' if ssh-agent holds the private one")]
    NotAKey,
    /// The private key is encrypted and ssh-agent does not hold it.
    #[error("it is protected by a passphrase; load it into ssh-agent with 'ssh-add', then sign again")]
    Encrypted(#[source] Option<AgentError>),
    /// The private key is on a token and ssh-agent does not hold it.
    #[error("ssh-agent has to sign with it; load it with 'ssh-add', then sign again")]
    Agent(#[source] AgentError),
    /// The key is of a kind that no host accepts.
    #[error("keys of type {0} do not count; use an Ed25519 or ECDSA P-256 key: 'ssh-keygen -t ed25519'")]
    Algorithm(String),
    /// The signature could not be computed.
    #[error("the signature could not be made")]
    Sign(#[source] ssh_key::Error),
    /// The signature that came back does not verify.
    #[error("the signature that was made does not verify; the key or the agent is faulty")]
    Faulty,
}

impl Key {
    /// Reads a private key, or finds the private key of a public one in ssh-agent.
    ///
    /// # Errors
    /// When the text is no key, or nobody here can sign with it.
    pub fn from_text(text: &str) -> Result<Self, SigningError> {
        if let Ok(public) = PublicKey::from_openssh(text.trim()) {
            let key = public.key_data().clone();
            return held(&key).map(|agent| Key::Agent(agent, Box::new(key))).map_err(SigningError::Agent);
        }
        let private = PrivateKey::from_openssh(text).map_err(|_| SigningError::NotAKey)?;
        let key = private.public_key().key_data().clone();
        if private.is_encrypted() {
            return held(&key)
                .map(|agent| Key::Agent(agent, Box::new(key)))
                .map_err(|error| SigningError::Encrypted(Some(error)));
        }
        if key.is_sk_ed25519() || key.is_sk_ecdsa_p256() {
            return held(&key).map(|agent| Key::Agent(agent, Box::new(key))).map_err(SigningError::Agent);
        }
        Ok(Key::File(Box::new(private)))
    }

    /// Signs `bytes` for `namespace`.
    ///
    /// # Errors
    /// When the key is of a kind that does not count, or the signature cannot be made.
    pub fn sign(&mut self, namespace: &str, bytes: &[u8]) -> Result<Envelope, SigningError> {
        let signature = match self {
            Key::File(private) => SshSig::sign(private.as_ref(), namespace, HashAlg::Sha512, bytes)
                .map_err(|_| SigningError::Algorithm(private.algorithm().to_string()))?,
            Key::Agent(agent, key) => {
                let data = SshSig::signed_data(namespace, HashAlg::Sha512, bytes).map_err(SigningError::Sign)?;
                let signature = agent.sign(key, &data).map_err(SigningError::Agent)?;
                SshSig::new(key.as_ref().clone(), namespace, HashAlg::Sha512, signature).map_err(SigningError::Sign)?
            }
        };
        let envelope = Envelope::new(signature);
        envelope.algorithm().map_err(|algorithm| SigningError::Algorithm(algorithm.to_string()))?;
        if envelope.covers(bytes) { Ok(envelope) } else { Err(SigningError::Faulty) }
    }
}

fn held(key: &KeyData) -> Result<Agent, AgentError> {
    let mut agent = Agent::connect()?;
    agent.holds(key)?;
    Ok(agent)
}
