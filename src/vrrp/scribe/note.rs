//! What the scribe is told, and the queue that it is dropped into.

use crate::ident::{Digest, Vrid};
use crate::vrrp::config::{Config, Fence};
use crate::vrrp::counters::Counters;
use crate::vrrp::machine::{self, Obstacle, Reason};
use crate::vrrp::netlink::NetlinkError;
use crate::vrrp::packet::{Discard, Remark};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

/// More than the loop can produce while a slow disk holds the scribe up: 255 routers moving four times.
const QUEUE: usize = 1024;

/// How a router is, for the state document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its state.
    pub state: machine::State,
    /// The priority it advertises, or would.
    pub priority: u8,
    /// The Active as known to it.
    pub active: Option<IpAddr>,
    /// What keeps it in Initialize.
    pub obstacle: Option<Obstacle>,
}

/// One thing to write down.
#[derive(Debug)]
pub enum Note {
    /// The loop runs this configuration from now on.
    Running {
        /// It.
        config: Config,
        /// Of the file.
        digest: Digest,
        /// One per router, in its order; then those of no router.
        counters: Vec<Arc<Counters>>,
    },
    /// SIGHUP came: read the file again.
    ReadConfig,
    /// A router changed its state.
    Moved {
        /// Its place in the configuration.
        router: usize,
        /// Before.
        from: machine::State,
        /// After.
        to: machine::State,
        /// Why.
        why: Reason,
    },
    /// How a router is now.
    Stands {
        /// Its place in the configuration.
        router: usize,
        /// How it is.
        standing: Standing,
    },
    /// A datagram was discarded; told at most once in a while per reason.
    Discarded {
        /// Why.
        reason: Discard,
        /// Who sent it, if that could be read.
        source: Option<IpAddr>,
    },
    /// A datagram was odd; told at most once in a while per remark.
    Remarked {
        /// What was odd.
        remark: Remark,
        /// Who sent it.
        source: IpAddr,
    },
    /// An errand failed.
    ErrandFailed {
        /// Whose.
        vrid: Vrid,
        /// About which address.
        address: IpAddr,
        /// Why.
        error: NetlinkError,
    },
    /// A socket could not be opened.
    PortFailed {
        /// On which link.
        link: String,
        /// Why.
        error: std::io::Error,
    },
    /// What the probes complain of now.
    Unhealthy(Vec<String>),
    /// Another fence is in force.
    Fenced {
        /// Which.
        fence: Fence,
        /// Why it is no better.
        problem: Option<String>,
    },
    /// A plain warning.
    Warning(String),
    /// The daemon has done its last errand: nothing is written after this.
    Stopping,
}

/// Where notes are dropped.
#[derive(Debug, Clone)]
pub struct Notes {
    notes: SyncSender<Note>,
    lost: Arc<AtomicU64>,
}

impl Notes {
    /// A queue of bounded length.
    pub fn new() -> (Self, Receiver<Note>, Arc<AtomicU64>) {
        let (notes, queue) = sync_channel(QUEUE);
        let lost = Arc::new(AtomicU64::new(0));
        (Self { notes, lost: Arc::clone(&lost) }, queue, lost)
    }

    /// The last note: waits for its place in the queue.
    pub fn close(&self) {
        // A scribe that is gone has nothing left to write.
        let _ = self.notes.send(Note::Stopping);
    }

    /// Drops a note without waiting.
    pub fn tell(&self, note: Note) {
        if let Err(TrySendError::Full(_)) = self.notes.try_send(note) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}
