//! The address is taken off the Active's link behind the daemon's back: how soon is it announced again, by whomever?

use super::failover::{self, NEW, OLD};
use super::quiet::{self, QuietLab};
use crate::wire::{Heard, Kind, Observer};
use std::thread::sleep;
use std::time::Duration;

/// How the report calls it.
pub const NAME: &str = "address removed, 100 ms";

const INTERVAL_CS: u32 = 10;
/// After the election the address is announced again after 100 ms and a second: those must not be taken for the answer.
const SETTLE: Duration = Duration::from_millis(1300);
const PATIENCE: Duration = Duration::from_secs(5);

/// Milliseconds from the removal to the first announcement.
pub fn measure(kind: Kind) -> Result<f64, String> {
    let (router, lab) = (failover::router(INTERVAL_CS), QuietLab::new(2));
    let observer = Observer::start(&lab);
    let speakers = failover::settle(kind, &lab, &observer, &router)?;
    sleep(SETTLE);
    let _peace = quiet::watch();
    let removed = lab.hosts[OLD].remove(router.vip()).ok_or_else(|| {
        format!("the Active does not hold it:\n{}\nand the Backup says:\n{}", speakers[OLD].log(), speakers[NEW].log())
    })?;
    let announced = |frame: &crate::wire::Frame| frame.heard == Heard::Announcement(router.vip());
    observer
        .wait(removed, PATIENCE, announced)
        .map(|frame| frame.at.ms_since(removed))
        .ok_or_else(|| format!("nobody announces it again:\n{}", speakers[OLD].log()))
}
