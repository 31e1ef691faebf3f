//! Waiting for something named, with a deadline, and saying what was in the way.

use std::time::{Duration, Instant};

/// Between two looks: short against what is measured in seconds, long against what a look costs.
const PERIOD: Duration = Duration::from_millis(200);

/// Asks `look` until it answers, or the limit is reached. `look` says why it has no answer yet; each new reason is
/// passed on, so that who waits sees for what, and the last one is the error.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut told: impl FnMut(Duration, &str),
    mut look: impl FnMut() -> anyhow::Result<T>,
) -> anyhow::Result<(T, Duration)> {
    let start = Instant::now();
    let mut last = String::new();
    loop {
        match look() {
            Ok(answer) => return Ok((answer, start.elapsed())),
            Err(reason) => {
                let reason = format!("{reason:#}");
                anyhow::ensure!(start.elapsed() < limit, "{what}: not within {limit:?}: {reason}");
                if reason != last {
                    told(start.elapsed(), &reason);
                    last = reason;
                }
            }
        }
        std::thread::sleep(PERIOD);
    }
}
