//! The thread that writes: the state document, the log, and what systemd is told.
//!
//! The VRRP loop waits for no disk and no journal, so it drops notes here without waiting; if the queue is full a note is lost
//! and counted, never an advertisement. The watchdog is answered only while the loop itself turns.

mod note;
mod record;

pub use note::{Note, Notes, Standing};

use super::config::{Config, Fence};
use super::counters::Counters;
use super::fact::{Fact, Mailbox};
use super::state::{State, Transition};
use crate::durable;
use crate::ident::Digest;
use crate::message::Message;
use record::Record;
use sd_notify::NotifyState;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How old the state document gets at most.
const STATE_EVERY: Duration = Duration::from_secs(2);

/// What the scribe shares with the loop.
#[derive(Debug, Default)]
pub struct Pulse {
    /// Turns of the loop; the watchdog is answered only if it grew.
    pub turns: AtomicU64,
    /// Extensions of the kernel lease.
    pub lease_extended: AtomicU64,
}

/// The scribe.
#[derive(Debug)]
pub struct Scribe {
    /// The configuration file.
    pub config_path: PathBuf,
    /// The state document.
    pub state_path: PathBuf,
    /// Where a configuration that was read again is told.
    pub mailbox: Mailbox,
    /// Shared with the loop.
    pub pulse: Arc<Pulse>,
    /// Notes lost so far.
    pub lost: Arc<AtomicU64>,
}

/// What it has in hand while it runs.
#[derive(Debug, Default)]
struct Desk {
    digest: Option<Digest>,
    records: Vec<Record>,
    unassigned: Arc<Counters>,
    unhealthy: Vec<String>,
    fence: Option<(Fence, Option<String>)>,
    changed: bool,
    closed: bool,
    turns_seen: u64,
    lost_seen: u64,
}

impl Scribe {
    /// Writes until [`Note::Stopping`], then removes the state document: a daemon that is not there has no state.
    #[expect(clippy::disallowed_methods, reason = "a driver: it paces its writing by the clock")]
    pub fn run(self, notes: &Receiver<Note>) {
        let watchdog = sd_notify::watchdog_enabled().map_or(STATE_EVERY, |limit| limit / 3);
        let mut desk = Desk::default();
        let (mut written, mut answered) = (Instant::now(), Instant::now());
        while !desk.closed {
            match notes.recv_timeout(STATE_EVERY.min(watchdog)) {
                Ok(note) => self.take(note, &mut desk),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            // A burst of transitions is one document: write when the queue is empty.
            while let Ok(note) = notes.try_recv() {
                self.take(note, &mut desk);
            }
            if desk.changed || written.elapsed() >= STATE_EVERY {
                self.write(&mut desk);
                written = Instant::now();
            }
            if answered.elapsed() >= watchdog {
                self.answer_watchdog(&mut desk);
                answered = Instant::now();
            }
        }
        // Gone already when it was never written.
        let _ = std::fs::remove_file(&self.state_path);
    }

    fn take(&self, note: Note, desk: &mut Desk) {
        match note {
            Note::Running { config, digest, counters } => self.running(desk, &config, digest, counters),
            Note::ReadConfig => self.read_config(),
            Note::Moved { router, from, to, why } => {
                let Some(record) = desk.records.get_mut(router) else { return };
                record.moved(Transition { at: wall_clock(), from, to, why });
                desk.changed = true;
                tracing::info!(
                    message_id = Message::RouterMoved.id(),
                    vrid = record.vrid.octet(),
                    link = record.link,
                    "virtual router {} on {}: {from:?} -> {to:?} ({why:?})",
                    record.vrid,
                    record.link
                );
            }
            Note::Stands { router, standing } => {
                if let Some(record) = desk.records.get_mut(router) {
                    record.standing = standing;
                    desk.changed = true;
                }
            }
            Note::Discarded { reason, source } => match source {
                Some(source) => tracing::warn!(%source, "a datagram from {source} is discarded: {}", reason.text()),
                None => tracing::warn!("a datagram is discarded: {}", reason.text()),
            },
            Note::Remarked { remark, source } => {
                tracing::warn!(%source, "an advertisement from {source} is odd: {}", remark.text());
            }
            Note::ErrandFailed { vrid, address, error } => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
                tracing::error!(vrid = vrid.octet(), "virtual router {vrid}, address {address}: {error}{source}");
            }
            Note::PortFailed { link, error } => tracing::error!(link, "cannot open a VRRP socket on '{link}': {error}"),
            Note::Unhealthy(complaints) => {
                match complaints.as_slice() {
                    [] => tracing::info!("every probe is content"),
                    complaints => tracing::warn!("unhealthy: {}", complaints.join("; ")),
                }
                desk.unhealthy = complaints;
                desk.changed = true;
            }
            Note::Fenced { fence, problem } => {
                match &problem {
                    None => tracing::info!("the kernel lease is in force"),
                    Some(problem) => tracing::warn!("only the address lifetime fences the VIP: {problem}"),
                }
                desk.fence = Some((fence, problem));
                desk.changed = true;
            }
            Note::Warning(text) => tracing::warn!("{text}"),
            Note::Stopping => desk.closed = true,
        }
    }

    fn running(&self, desk: &mut Desk, config: &Config, digest: Digest, mut counters: Vec<Arc<Counters>>) {
        let mut old = std::mem::take(&mut desk.records);
        desk.unassigned = counters.pop().unwrap_or_default();
        for (router, counters) in config.routers.iter().zip(counters) {
            let record = match old.iter().position(|record| record.is_of(router)) {
                Some(same) => old.swap_remove(same).reconfigured(router, counters),
                None => Record::new(router, counters, wall_clock()),
            };
            desk.records.push(record);
        }
        desk.digest = Some(digest);
        // Before READY: whoever waits for the reload reads the digest next.
        self.write(desk);
        let status = format!("{} virtual routers, configuration {}", desk.records.len(), digest.short());
        notify(&[NotifyState::Ready, NotifyState::Status(&status)]);
        tracing::info!("running {status}");
    }

    /// Reads the file on this thread, since a disk may be slow; the loop takes it over between two advertisements.
    fn read_config(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(stamp) => notify(&[NotifyState::Reloading, stamp]),
            Err(error) => tracing::warn!("cannot read the clock for systemd, ignoring: {error}"),
        }
        let read = std::fs::read(&self.config_path).map_err(|error| error.to_string());
        let parsed = read.and_then(|bytes| {
            Config::parse(&bytes).map(|config| (config, Digest::of(&bytes))).map_err(|error| error.to_string())
        });
        match parsed {
            Ok((config, digest)) => self.mailbox.tell(Fact::Config { config, digest }),
            Err(error) => {
                tracing::error!("'{}' is not taken over, running the old one: {error}", self.config_path.display());
                notify(&[NotifyState::Ready]);
            }
        }
    }

    fn write(&self, desk: &mut Desk) {
        desk.changed = false;
        let Some(config_digest) = desk.digest else { return };
        let (fence, fence_problem) = desk.fence.clone().unwrap_or((Fence::LifetimeOnly, None));
        let state = State {
            config_digest,
            updated: wall_clock(),
            fence,
            fence_problem,
            fence_refreshes: self.pulse.lease_extended.load(Ordering::Relaxed),
            unhealthy: desk.unhealthy.clone(),
            routers: desk.records.iter().map(Record::state).collect(),
            unassigned: desk.unassigned.read(),
        };
        let written = serde_json::to_vec_pretty(&state)
            .map_err(|error| error.to_string())
            .and_then(|text| durable::replace(&self.state_path, &text, 0o644, None).map_err(|error| error.to_string()));
        if let Err(error) = written {
            tracing::error!("{error}");
        }
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > desk.lost_seen {
            tracing::warn!("{} notes were lost, because writing could not keep up", lost - desk.lost_seen);
            desk.lost_seen = lost;
        }
    }

    fn answer_watchdog(&self, desk: &mut Desk) {
        let turns = self.pulse.turns.load(Ordering::Relaxed);
        if turns != desk.turns_seen {
            desk.turns_seen = turns;
            notify(&[NotifyState::Watchdog]);
        }
    }
}

/// Tells systemd; without one there is nobody to tell.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("cannot notify systemd, ignoring: {error}");
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver: the document says when, by the wall clock, for people")]
fn wall_clock() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
