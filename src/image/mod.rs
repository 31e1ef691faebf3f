//! The image build step: what quorate adds to an operating system tree, and how it gets there.
//!
//! [`layout`] is the table of everything that is placed: programs, units, presets, trust. [`install`] puts
//! that table into a tree, or compares the tree with it. Both work offline on a directory: no process of
//! the tree is run, no daemon is asked, so the tree may be of another architecture and the step may run in
//! any container build.
//!
//! Nothing here touches the host it runs on, `/` included, unless it is told that `/` is the tree.

pub mod install;
pub mod layout;

use std::fmt;
use std::path::PathBuf;

/// The bytes that the table itself does not carry: they come with the command.
#[derive(Clone)]
pub struct Payload {
    /// The program `quorate`.
    pub quorate: Vec<u8>,
    /// The program `quorate-vrrpd`.
    pub vrrpd: Vec<u8>,
    /// The `allowed_signers` file.
    pub trust: Vec<u8>,
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payload")
            .field("quorate", &self.quorate.len())
            .field("vrrpd", &self.vrrpd.len())
            .field("trust", &self.trust.len())
            .finish()
    }
}

/// One entry of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Where it lands, relative to the root of the tree.
    pub path: PathBuf,
    /// What lands there.
    pub content: Content<'a>,
}

/// What an entry consists of.
#[derive(Clone, PartialEq, Eq)]
pub enum Content<'a> {
    /// A regular file.
    File {
        /// All of its bytes.
        bytes: &'a [u8],
        /// Permission bits.
        mode: u32,
    },
    /// A directory, with whatever is in it.
    Directory {
        /// Permission bits.
        mode: u32,
    },
    /// A symbolic link.
    Link {
        /// Where it points, as seen from the running system.
        target: PathBuf,
    },
}

impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::File { bytes, mode } => write!(f, "File({} bytes, {mode:#o})", bytes.len()),
            Content::Directory { mode } => write!(f, "Directory({mode:#o})"),
            Content::Link { target } => write!(f, "Link({})", target.display()),
        }
    }
}

/// How the tree stood against one entry before anything was done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It is as the table has it.
    Same,
    /// Nothing is there.
    Missing,
    /// Something else is there: other bytes, another kind of file, a link to elsewhere.
    Changed,
    /// The bytes are right, the permission bits are not.
    WrongMode,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Standing::Same => "unchanged",
            Standing::Missing => "missing",
            Standing::Changed => "changed",
            Standing::WrongMode => "wrong mode",
        })
    }
}
