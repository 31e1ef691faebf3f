//! A file as a plan wants it on the host: where, what, and who may read it.

use crate::ident::Digest;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Who owns a rendered file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// root:root.
    Root,
    /// The user that runs the etcd member.
    Etcd,
}

/// A file to be written as a whole.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenderedFile {
    /// Where it lands, absolute on the host.
    pub path: PathBuf,
    /// Permission bits.
    pub mode: u32,
    /// The user and group it belongs to.
    pub owner: Owner,
    /// All of its bytes. Kept out of `Debug` and of serialised plans: some of these files are private keys.
    #[serde(skip)]
    pub content: Vec<u8>,
}

impl RenderedFile {
    /// What an observation compares: equal digest means nothing to write.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.content)
    }
}

impl std::fmt::Debug for RenderedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenderedFile")
            .field("path", &self.path)
            .field("mode", &format_args!("{:#o}", self.mode))
            .field("owner", &self.owner)
            .field("bytes", &self.content.len())
            .finish()
    }
}

/// What an observer found where a rendered file belongs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ObservedFile {
    /// Nothing is there.
    Absent,
    /// A regular file with these bytes, mode and owner.
    Present {
        /// Digest of its content.
        digest: Digest,
        /// Permission bits.
        mode: u32,
    },
    /// It could not be read; nothing that depends on it may be decided.
    Unknown {
        /// The error, as text.
        why: String,
    },
}

impl ObservedFile {
    /// Whether the file on the host is already the wanted one. Unknown is not: writing it again is harmless
    /// because a rendered file is replaced as a whole.
    pub fn is(&self, wanted: &RenderedFile) -> bool {
        matches!(self, ObservedFile::Present { digest, mode } if *digest == wanted.digest() && *mode == wanted.mode)
    }
}
