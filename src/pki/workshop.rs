//! The directory on the administrator's workstation where the CA and the bundles live.
//!
//! ```text
//! pki/                  0700
//! ├── ca.crt            0644  pin its fingerprint in spec.pki.ca
//! ├── ca.key            0600  never leaves this directory
//! └── nodes/m1/node.pem 0600  goes to master m1, nowhere else
//! ```

use super::bundle::{Bundle, Fault};
use super::issue::{Authority, IssueError};
use crate::durable::{self, DurableError};
use crate::ident::NodeName;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WorkshopError {
    /// A CA is there already.
    #[error("'{}' exists already; a cluster keeps its CA, and another cluster gets another directory", .0.display())]
    Exists(PathBuf),
    /// There is no CA.
    #[error("there is no cluster CA in '{}'; make one with 'quorate pki init'", .0.display())]
    NoAuthority(PathBuf),
    /// A file cannot be read.
    #[error("cannot read '{}'", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The CA's files cannot be used.
    #[error("the cluster CA in '{}' cannot be used", place.display())]
    Authority {
        /// The directory.
        place: PathBuf,
        /// The cause.
        #[source]
        source: IssueError,
    },
    /// A file cannot be written.
    #[error(transparent)]
    Durable(#[from] DurableError),
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Workshop {
    place: PathBuf,
}

impl Workshop {
    /// The workshop in `place`, which need not exist yet.
    pub fn at(place: &Path) -> Self {
        Self { place: place.to_owned() }
    }

    /// Where the CA certificate lies.
    pub fn ca(&self) -> PathBuf {
        self.place.join("ca.crt")
    }

    /// Where a master's bundle lies.
    pub fn bundle(&self, master: &NodeName) -> PathBuf {
        self.place.join("nodes").join(master.as_str()).join(crate::manifest::DROPPED_BUNDLE)
    }

    /// Keeps a new CA.
    ///
    /// # Errors
    /// When there is one already, or the directory cannot be written.
    pub fn keep_authority(&self, authority: &Authority) -> Result<(), WorkshopError> {
        let key = self.key();
        for path in [&key, &self.ca()] {
            if fs::symlink_metadata(path).is_ok() {
                return Err(WorkshopError::Exists(path.clone()));
            }
        }
        durable::directory(&self.place, 0o700)?;
        durable::replace(&self.ca(), authority.certificate().as_bytes(), 0o644, None)?;
        Ok(durable::replace(&key, authority.key().as_bytes(), 0o600, None)?)
    }

    /// The CA that is kept here.
    ///
    /// # Errors
    /// When there is none or it cannot be used.
    pub fn authority(&self) -> Result<Authority, WorkshopError> {
        let (certificate, key) = (self.read(&self.ca())?, self.read(&self.key())?);
        let (Some(certificate), Some(key)) = (certificate, key) else {
            return Err(WorkshopError::NoAuthority(self.place.clone()));
        };
        Authority::load(&certificate, &key)
            .map_err(|source| WorkshopError::Authority { place: self.place.clone(), source })
    }

    /// The bundle that was issued to `master`, when there is one; what cannot be read as one counts as a fault.
    ///
    /// # Errors
    /// When the file is there and cannot be read.
    pub fn issued(&self, master: &NodeName) -> Result<Option<Result<Bundle, Fault>>, WorkshopError> {
        Ok(self.read(&self.bundle(master))?.map(|text| Bundle::read(text.as_bytes())))
    }

    /// Keeps a bundle, in place of an older one.
    ///
    /// # Errors
    /// When the directory cannot be written.
    pub fn keep_bundle(&self, master: &NodeName, bundle: &Bundle) -> Result<PathBuf, WorkshopError> {
        let path = self.bundle(master);
        durable::directory(&self.place.join("nodes"), 0o700)?;
        durable::directory(path.parent().unwrap_or(&self.place), 0o700)?;
        durable::replace(&path, bundle.to_pem().as_bytes(), 0o600, None)?;
        Ok(path)
    }

    fn key(&self) -> PathBuf {
        self.place.join("ca.key")
    }

    fn read(&self, path: &Path) -> Result<Option<String>, WorkshopError> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(WorkshopError::Read { path: path.to_owned(), source }),
        }
    }
}
