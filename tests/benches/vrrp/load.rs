//! 255 virtual routers at 100 ms: what they cost, and whether every advertisement leaves in time.

use crate::wire::{Form, Frame, Heard, Kind, Lab, Moment, Observer, Router, Speaker, Version};
use nix::unistd::Pid;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::thread::sleep;
use std::time::Duration;

/// How the report calls it.
pub const NAME: &str = "255 virtual routers, 100 ms";

const INTERVAL_CS: u32 = 10;
/// What is watched, once all routers have settled.
const WINDOW: Duration = Duration::from_secs(15);
const SETTLE: Duration = Duration::from_secs(4);
/// An advertisement is late when it comes this much later than one interval after the one before: a tenth of the interval, far from
/// what a Backup would act upon (three intervals), far above what a busy machine adds.
const TOLERANCE: Duration = Duration::from_millis(10);
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
    /// Advertisements later than the tolerance.
    pub late: f64,
    /// The longest gap between two advertisements of a router.
    pub gap_ms: f64,
}

/// Sets up two hosts with 255 routers each and watches them for a while.
pub fn measure(kind: Kind) -> Result<Load, String> {
    let lab = Lab::new(2);
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
    let gaps = gaps_ms(&observer.frames())?;
    let allowed = f64::from(INTERVAL_CS) * 10.0 + TOLERANCE.as_secs_f64() * 1e3;
    let late = gaps.iter().map(|gap| f64::from(u8::from(*gap > allowed))).fold(0.0, |a, b| a + b);
    Ok(Load {
        active_cpu: spent[0],
        backup_cpu: spent[1],
        resident_mb,
        late,
        gap_ms: gaps.into_iter().fold(0.0, f64::max),
    })
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

/// The times between consecutive advertisements of each router; an error unless all 255 were heard, and from the first host alone.
fn gaps_ms(frames: &[Frame]) -> Result<Vec<f64>, String> {
    let (mut last, mut gaps, mut hosts) = (BTreeMap::new(), Vec::new(), BTreeSet::new());
    for frame in frames {
        let Heard::Advert(advert) = frame.heard else { continue };
        hosts.insert(frame.host);
        if let Some(before) = last.insert(advert.vrid, frame.at) {
            gaps.push(frame.at.ms_since(before));
        }
    }
    if last.len() == 255 && hosts.len() == 1 {
        Ok(gaps)
    } else {
        Err(format!("{} routers advertised, from {} hosts", last.len(), hosts.len()))
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
