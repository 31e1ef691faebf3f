//! Wall-clock moments, because that is the clock in which the kernel stamps frames. Only differences are ever used.

use nix::time::{ClockId, clock_gettime};
use std::ops::{Add, Sub};
use std::time::Duration;

/// A moment in nanoseconds of the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

impl Moment {
    pub fn now() -> Self {
        let time = clock_gettime(ClockId::CLOCK_REALTIME).unwrap();
        Self(time.tv_sec() * 1_000_000_000 + time.tv_nsec())
    }

    /// Milliseconds from `earlier` to here; negative if it is later.
    pub fn ms_since(self, earlier: Moment) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a difference of minutes, exact to the nanosecond in 53 bits")]
        let ns = (self.0 - earlier.0) as f64;
        ns / 1e6
    }
}

impl Sub<Duration> for Moment {
    type Output = Moment;

    fn sub(self, span: Duration) -> Moment {
        Moment(self.0 - i64::try_from(span.as_nanos()).unwrap())
    }
}

impl Add<Duration> for Moment {
    type Output = Moment;

    fn add(self, span: Duration) -> Moment {
        Moment(self.0 + i64::try_from(span.as_nanos()).unwrap())
    }
}
