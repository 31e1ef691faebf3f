//! Time as the machine counts it: integer nanoseconds of CLOCK_BOOTTIME, handed in from outside.
//!
//! CLOCK_BOOTTIME and not CLOCK_MONOTONIC, because a host that slept must notice that it did (B3). No floats:
//! a skew of 78.125 µs (priority 254 at 10 ms) is exact here.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// A moment; only differences mean anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The moment `nanoseconds` after boot.
    pub fn from_nanos(nanoseconds: u64) -> Self {
        Self(nanoseconds)
    }

    /// Nanoseconds since boot.
    pub fn nanos(self) -> u64 {
        self.0
    }

    /// The moment `span` later.
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(nanos_of(span)))
    }

    /// The moment `span` earlier.
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos_of(span)))
    }

    /// How long ago `earlier` was; nothing if it lies ahead.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Saturating: 584 years of nanoseconds fit, no interval comes near.
fn nanos_of(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// An advertisement interval in centiseconds, 1 to 4095 (RFC 9568 §5.2.7: 12 bits; EID 8301: never 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Interval(u16);

/// Why a number is no advertisement interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} centiseconds is not an advertisement interval: 1 to 4095 (RFC 9568 §5.2.7)")]
pub struct IntervalError(u16);

impl Interval {
    /// One second, the default of RFC 9568 §6.1.
    pub const SECOND: Interval = Interval(100);

    /// The number that goes on a VRRPv3 wire.
    pub fn centiseconds(self) -> u16 {
        self.0
    }

    /// Its length.
    pub fn span(self) -> Duration {
        Duration::from_millis(u64::from(self.0) * 10)
    }

    /// Skew_Time (RFC 9568 §6.1): `((256 - priority) * interval) / 256`, in whole nanoseconds.
    pub fn skew(self, priority: u8) -> Duration {
        self.span() * (256 - u32::from(priority)) / 256
    }
}

impl TryFrom<u16> for Interval {
    type Error = IntervalError;

    fn try_from(centiseconds: u16) -> Result<Self, IntervalError> {
        if (1..=4095).contains(&centiseconds) { Ok(Self(centiseconds)) } else { Err(IntervalError(centiseconds)) }
    }
}

impl From<Interval> for u16 {
    fn from(interval: Interval) -> u16 {
        interval.0
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.span())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f4_skew_at_the_boundaries_is_exact() {
        let shortest = Interval::try_from(1).unwrap();
        assert_eq!(shortest.skew(254), Duration::from_nanos(78_125));
        assert_eq!(Interval::SECOND.skew(1), Duration::from_nanos(996_093_750));
        assert_eq!(Interval::SECOND.skew(255), Duration::from_nanos(3_906_250));
    }

    #[test]
    fn intervals_are_twelve_bits_and_never_zero() {
        for (centiseconds, good) in [(0, false), (1, true), (4095, true), (4096, false)] {
            assert_eq!(Interval::try_from(centiseconds).is_ok(), good, "{centiseconds}");
        }
    }
}
