//! The Active reads its configuration again once a second for a minute: no advertisement may be late for it, and nobody may take over.

use super::cadence::Cadence;
use super::failover::{self, OLD};
use super::quiet::QuietLab;
use crate::wire::{Kind, Observer};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How the report calls it.
pub const NAME: &str = "60 reloads in 60 s, 100 ms";

const INTERVAL_CS: u32 = 10;
const RELOADS: u32 = 60;
const PERIOD: Duration = Duration::from_secs(1);

/// What was seen of the advertisements while the Active reloaded.
pub fn measure(kind: Kind) -> Result<Cadence, String> {
    let (router, lab) = (failover::router(INTERVAL_CS), QuietLab::new(2));
    let observer = Observer::start(&lab);
    let speakers = failover::settle(kind, &lab, &observer, &router)?;
    observer.clear();
    let start = Instant::now();
    for reload in 1..=RELOADS {
        speakers[OLD].reload();
        sleep((start + PERIOD * reload).saturating_duration_since(Instant::now()));
    }
    let reloaded = speakers[OLD].reloads();
    if reloaded < RELOADS as usize {
        return Err(format!("only {reloaded} of {RELOADS} reloads took place:\n{}", speakers[OLD].log()));
    }
    Ok(Cadence::of(&observer.frames(), router.interval()))
}
