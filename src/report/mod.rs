//! The debug bundle: what somebody else needs to see of this host, in one archive, without secrets.
//!
//! Two walls keep secrets out. [`gather`] reads only what its table names; the places of keys are not in it. And
//! whatever was read becomes an [`Entry`] by one constructor, which takes out everything that looks like a secret
//! ([`redact`]): a token in a journal line, a key pasted into a manifest.
//!
//! What could not be collected is part of the bundle too, with its reason. The bundle is never sent anywhere.

pub mod gather;
pub mod journal;
pub mod redact;
pub mod units;

/// One file of the bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    name: String,
    content: String,
}

impl Entry {
    /// What was read, without its secrets.
    pub fn new(name: impl Into<String>, read: &[u8]) -> Self {
        Self { name: name.into(), content: redact::redacted(&String::from_utf8_lossy(read)) }
    }

    /// Why there is nothing of that name.
    pub fn missing(name: &str, why: &str) -> Self {
        Self::new(format!("{name}.missing"), format!("{why}\n").as_bytes())
    }

    /// Its path inside the bundle.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its text.
    pub fn content(&self) -> &str {
        &self.content
    }
}
