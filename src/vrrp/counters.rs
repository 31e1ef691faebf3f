//! Counters that the VRRP loop writes and the scribe reads, without a lock between them.

use super::packet::{Discard, Remark};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The counters of one virtual router, or of what belongs to none.
#[derive(Debug, Default)]
pub struct Counters {
    discards: [AtomicU64; Discard::ALL.len()],
    remarks: [AtomicU64; Remark::ALL.len()],
    received: AtomicU64,
    sent: AtomicU64,
    send_failures: AtomicU64,
    late: AtomicU64,
    latest_ns: AtomicU64,
}

/// What the counters showed at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Counted {
    /// Advertisements accepted.
    pub received: u64,
    /// Advertisements sent, once per family and peer.
    pub sent: u64,
    /// Advertisements that the kernel refused to send.
    pub send_failures: u64,
    /// Advertisements sent later than they were due by a tenth of their interval or more.
    pub late: u64,
    /// The greatest lateness of all, in microseconds.
    pub latest_us: u64,
    /// Datagrams not acted upon, by reason; reasons that never occurred are left out.
    pub discards: BTreeMap<Discard, u64>,
    /// Oddities of accepted ones.
    pub remarks: BTreeMap<Remark, u64>,
}

impl Counters {
    /// An accepted advertisement.
    pub fn received(&self) {
        self.received.fetch_add(1, Ordering::Relaxed);
    }

    /// A discarded datagram.
    pub fn discarded(&self, reason: Discard) {
        self.discards[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// An oddity.
    pub fn remarked(&self, remark: Remark) {
        self.remarks[remark as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// A sent advertisement, or one that the kernel refused.
    pub fn sent(&self, result: &std::io::Result<()>) {
        let counter = if result.is_ok() { &self.sent } else { &self.send_failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// How late an advertisement of this interval was.
    pub fn lateness(&self, late: Duration, interval: Duration) {
        if late >= interval / 10 {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        self.latest_ns.fetch_max(u64::try_from(late.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The counters now.
    pub fn read(&self) -> Counted {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        fn by_reason<R: Copy + Ord>(reasons: &[R], counters: &[AtomicU64]) -> BTreeMap<R, u64> {
            let counts = counters.iter().map(|counter| counter.load(Ordering::Relaxed));
            reasons.iter().copied().zip(counts).filter(|(_, count)| *count > 0).collect()
        }
        Counted {
            received: load(&self.received),
            sent: load(&self.sent),
            send_failures: load(&self.send_failures),
            late: load(&self.late),
            latest_us: load(&self.latest_ns) / 1000,
            discards: by_reason(Discard::ALL, &self.discards),
            remarks: by_reason(Remark::ALL, &self.remarks),
        }
    }
}
