//! How regularly advertisements come, and from how many hosts.

use super::calm;
use super::failover::{NEW, OLD};
use crate::wire::{Frame, Heard};
use std::collections::BTreeMap;
use std::time::Duration;

/// An advertisement is late when it comes this much later than one interval after the one before: a tenth of the interval, far from
/// what a Backup would act upon (three intervals), far above what a busy machine adds.
const TOLERANCE: Duration = Duration::from_millis(10);

/// What was seen of the advertisements of some virtual routers.
#[derive(Debug, Clone, Copy)]
pub struct Cadence {
    /// Virtual routers heard.
    pub routers: usize,
    /// How often the advertising host of a router changed.
    pub transitions: f64,
    /// Advertisements later than the tolerance, after what the machine itself stood still meanwhile.
    pub late: f64,
    /// All that are later than the tolerance.
    pub late_by_the_clock: f64,
    /// The longest gap between two advertisements of a router.
    pub gap_ms: f64,
}

impl Cadence {
    /// Of the two hosts, at `interval`; a resignation counts as no advertisement.
    pub fn of(frames: &[Frame], interval: Duration) -> Self {
        let allowed = (interval + TOLERANCE).as_secs_f64() * 1e3;
        let mut last = BTreeMap::new();
        let mut cadence = Self { routers: 0, transitions: 0.0, late: 0.0, late_by_the_clock: 0.0, gap_ms: 0.0 };
        for frame in frames.iter().filter(|frame| [OLD, NEW].contains(&frame.host)) {
            let Heard::Advert(advert) = frame.heard else { continue };
            if advert.priority == 0 {
                continue;
            }
            let Some((host, at)) = last.insert(advert.vrid, (frame.host, frame.at)) else { continue };
            let gap = frame.at.ms_since(at);
            cadence.transitions += f64::from(u8::from(host != frame.host));
            if gap > allowed {
                cadence.late_by_the_clock += 1.0;
                cadence.late += f64::from(u8::from(gap - calm::stood_still_ms(at, frame.at) > allowed));
            }
            cadence.gap_ms = cadence.gap_ms.max(gap);
        }
        Self { routers: last.len(), ..cadence }
    }
}
