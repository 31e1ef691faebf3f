//! What time it is, at the very least.
//!
//! Hosts come up with clocks at 1970, or years ahead. Nothing here waits for time synchronisation, and no date ever
//! takes a control plane down: time only decides whether something *new* may come in. The floor is the latest of the
//! system clock and of dates that cannot be later than now; a clock that nobody vouches for can prove that something
//! has expired, but not that it is fresh, which is reported and no more.

use jiff::Timestamp;
use serde::Serialize;

/// The time of one run; read once, so that all its decisions agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Clock {
    /// It is at least this late.
    pub now: Timestamp,
    /// Whether the system clock is known to be synchronised.
    pub trusted: bool,
}

impl Clock {
    /// The latest of the system clock and what cannot be later than now.
    pub fn floor(system: Timestamp, not_later: impl IntoIterator<Item = Timestamp>, trusted: bool) -> Self {
        Self { now: not_later.into_iter().fold(system, Timestamp::max), trusted }
    }

    /// The same clock, knowing that it cannot be earlier than `at`, when an accepted manifest was issued.
    pub fn not_before(self, at: Timestamp) -> Self {
        Self { now: self.now.max(at), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_never_behind_what_is_known_to_have_happened() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (past, present) = (at("1970-01-01T00:00:17Z"), at("2026-11-22T20:00:00Z"));
        assert_eq!(Clock::floor(past, [present], false).now, present);
        assert_eq!(Clock::floor(present, [past], true), Clock { now: present, trusted: true });
        assert_eq!(Clock::floor(past, [], false).not_before(present).now, present);
    }
}
