//! 255 virtual routers at 100 ms: what they cost, and whether every advertisement leaves in time.

use super::cadence::Cadence;
use super::quiet::QuietLab;
use crate::wire::{Form, Frame, Heard, Kind, Moment, Observer, Router, Speaker, Version};
use nix::unistd::Pid;
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

/// How the report calls it.
pub const NAME: &str = "255 virtual routers, 100 ms";

const INTERVAL_CS: u32 = 10;
/// What is watched, once all routers have settled.
const WINDOW: Duration = Duration::from_secs(15);
const SETTLE: Duration = Duration::from_secs(4);
/// `/proc/PID/stat` counts in hundredths of a second (USER_HZ, which Linux fixes for user space).
const TICKS_PER_SECOND: f64 = 100.0;

/// What was measured of one daemon.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Percent of one core, of the host that is Active for all.
    pub active_cpu: f64,
    /// The same of the Backup.
    pub backup_cpu: f64,
    /// Resident memory of the Active, all its processes.
    pub resident_mb: f64,
    /// How regularly it advertised.
    pub cadence: Cadence,
}

/// Sets up two hosts with 255 routers each and watches them for a while.
pub fn measure(kind: Kind) -> Result<Load, String> {
    let lab = QuietLab::new(2);
    let observer = Observer::start(&lab);
    let routers = |priority| -> Vec<Router> { (1..=255).map(|vrid| router(vrid, priority)).collect() };
    let start = Moment::now();
    let active = Speaker::start(kind, &lab.hosts[0], &routers(254));
    let last = |frame: &Frame| frame.host == 0 && matches!(frame.heard, Heard::Advert(advert) if advert.vrid == 255);
    observer
        .wait(start, Duration::from_secs(20), last)
        .ok_or_else(|| format!("no advertisement of 255:\n{}", active.log()))?;
    let backup = Speaker::start(kind, &lab.hosts[1], &routers(253));
    sleep(SETTLE);

    observer.clear();
    let before = [ticks(&active), ticks(&backup)];
    sleep(WINDOW);
    let spent = [ticks(&active) - before[0], ticks(&backup) - before[1]]
        .map(|ticks| 100.0 * ticks / TICKS_PER_SECOND / WINDOW.as_secs_f64());
    let resident_mb = active.pids().into_iter().map(resident_kb).sum::<f64>() / 1024.0;
    let cadence = Cadence::of(&observer.frames(), routers(254)[0].interval());
    if cadence.routers < 255 || cadence.transitions > 0.0 {
        return Err(format!("not all 255 routers from one host: {cadence:?}"));
    }
    Ok(Load { active_cpu: spent[0], backup_cpu: spent[1], resident_mb, cadence })
}

fn router(vrid: u8, priority: u8) -> Router {
    Router {
        vrid,
        version: Version::V3,
        interval_cs: INTERVAL_CS,
        priority,
        addresses: vec![Ipv4Addr::new(10, 77, 1, vrid).into()],
        peers: Vec::new(),
        form: Form::WithPseudoHeader,
    }
}

/// User and system time of all its processes.
fn ticks(speaker: &Speaker) -> f64 {
    let of = |pid: Pid| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        // The name, in parentheses, may hold spaces; the numbers behind it do not. utime and stime are fields 14 and 15.
        let numbers = stat.rsplit(") ").next().unwrap();
        numbers.split_whitespace().skip(11).take(2).map(|field| field.parse::<f64>().unwrap()).sum::<f64>()
    };
    speaker.pids().into_iter().map(of).sum()
}

fn resident_kb(pid: Pid) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
