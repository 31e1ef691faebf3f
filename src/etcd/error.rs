//! Why a step on the member did not succeed.

use super::client::ClientError;
use super::material::MaterialError;
use crate::durable::DurableError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a step on the etcd member did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// The deadline passed while something named was awaited.
    #[error("{what} was not finished in time: waiting for {whom}")]
    Waiting {
        /// The step.
        what: String,
        /// Who or what is awaited, and why.
        whom: String,
    },
    /// It would be unsafe to go on; nothing was changed.
    #[error("{what} was not done: {why}")]
    Refused {
        /// The step.
        what: String,
        /// The fact that stands in the way.
        why: String,
    },
    /// The agent's port could not be opened.
    #[error("cannot listen on {address} for the other masters")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The node's key and certificate are not usable.
    #[error("the key material in '{}' is not usable; issue and drop this master's bundle again", place.display())]
    Material {
        /// Where it lies.
        place: PathBuf,
        /// Why.
        #[source]
        source: MaterialError,
    },
    /// A file could not be read, written or moved.
    #[error("cannot {attempt} '{}'", path.display())]
    File {
        /// What was attempted.
        attempt: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file could not be written.
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// The user that runs etcd does not exist.
    #[error("there is no user '{0}'; build the image with 'quorate install --root', which creates it")]
    NoUser(String),
    /// The kernel gave no random bytes.
    #[error("no random bytes for a genesis nonce: {0}")]
    Random(String),
    /// etcd refused or did not answer.
    #[error("{what} failed")]
    Client {
        /// The step.
        what: String,
        /// Why.
        #[source]
        source: ClientError,
    },
}
