//! One failover: two speakers, one fault, and what the switch saw of it.

use super::calm;
use super::quiet::{self, QuietLab};
use crate::wire::prober::{ASKERS, PERIOD};
use crate::wire::{Form, Frame, Heard, Kind, Lab, Moment, Observer, Prober, Router, Speaker, Version};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::thread::sleep;
use std::time::Duration;

/// The host that is Active when the fault strikes.
pub const OLD: usize = 0;
/// The host that takes over.
pub const NEW: usize = 1;
/// The priorities that the manifest's order gives to the first two masters.
const PRIORITIES: [u8; 2] = [254, 253];
/// How long both are watched after the takeover, and again after a frozen one has thawed.
const AFTERMATH: Duration = Duration::from_millis(200);

/// How long the prober asks before the fault: every asker is known to the hosts by then.
const PRELUDE: Duration = Duration::from_millis(100);

/// For how long the machine may stand still at a moment that matters: half of what a successor may add to silence.
const STALL_MS: f64 = 1.0;
/// How long it may take to hear an advertisement, and to announce the address once the timer has ended.
const STARTING: Duration = Duration::from_millis(5);
const ENDING: Duration = Duration::from_millis(10);

/// What happens to the Active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// SIGTERM.
    Stop,
    /// SIGKILL.
    Kill,
    /// Its switch port goes down.
    Gone,
    /// SIGSTOP, and SIGCONT after the takeover.
    Freeze,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Fault::Stop => "graceful stop",
            Fault::Kill => "daemon SIGKILL",
            Fault::Gone => "host gone",
            Fault::Freeze => "daemon SIGSTOP",
        })
    }
}

/// What was seen, from one interval before the fault on.
#[derive(Debug, Clone)]
pub struct Failover {
    pub fault: Moment,
    pub frames: Vec<Frame>,
    vip: IpAddr,
}

/// The virtual router of every failover, as the successor runs it.
pub fn router(interval_cs: u32) -> Router {
    Router {
        vrid: 51,
        version: Version::V3,
        interval_cs,
        priority: PRIORITIES[NEW],
        addresses: vec![Ipv4Addr::new(10, 77, 1, 0).into()],
        peers: Vec::new(),
        form: Form::WithPseudoHeader,
    }
}

/// Starts the old and the new on two hosts of `lab`, and returns them once one is Active and the other Backup.
pub fn settle(kind: Kind, lab: &Lab, observer: &Observer, router: &Router) -> Result<[Speaker; 2], String> {
    let speak = |host: usize| Speaker::start(kind, &lab.hosts[host], &[router.with_priority(PRIORITIES[host])]);
    let start = Moment::now();
    let old = speak(OLD);
    observer
        .wait_active(OLD, start, patience(router))
        .ok_or_else(|| format!("the first never becomes Active:\n{}", old.log()))?;
    let new = speak(NEW);
    // keepalived may become Active for a moment when it starts beside a working Active at short intervals.
    for _ in 0..10 {
        observer.clear();
        sleep(router.interval() + AFTERMATH);
        if !observer.frames().iter().any(|frame| frame.host == NEW && matches!(frame.heard, Heard::Advert(_))) {
            return Ok([old, new]);
        }
    }
    Err(format!("the second does not stay Backup:\n{}", new.log()))
}

fn patience(router: &Router) -> Duration {
    router.down() + Duration::from_secs(10)
}

/// Sets two speakers up, lets the fault strike the Active at a random moment of its interval, and watches.
pub fn measure(kind: Kind, fault: Fault, interval_cs: u32) -> Result<Failover, String> {
    let (router, lab) = (router(interval_cs), QuietLab::new(2));
    let interval = router.interval();
    let observer = Observer::start(&lab);
    let [old, new] = settle(kind, &lab, &observer, &router)?;
    let _prober = Prober::start(&lab, router.vip());
    let _peace = quiet::watch();
    sleep(PRELUDE + random_part_of(interval));

    let fault_at = Moment::now();
    match fault {
        Fault::Stop => old.stop(),
        Fault::Kill => old.kill(),
        Fault::Gone => lab.port_down(&lab.hosts[OLD]),
        Fault::Freeze => old.freeze(),
    }
    let by_new = |frame: &Frame| frame.host == NEW && matches!(frame.heard, Heard::Answer { .. });
    observer.wait(fault_at, patience(&router), by_new).ok_or_else(|| format!("nobody takes over:\n{}", new.log()))?;
    sleep(AFTERMATH);
    match fault {
        Fault::Freeze => {
            old.thaw();
            sleep(AFTERMATH + interval);
        }
        // As long as the slower way takes, so that both can be drawn beside each other.
        Fault::Kill => sleep_until(fault_at, router.down() + AFTERMATH),
        Fault::Stop | Fault::Gone => {}
    }
    let frames = observer.frames().into_iter().filter(|frame| frame.at >= fault_at - interval * 2).collect();
    Ok(Failover { fault: fault_at, frames, vip: router.vip() })
}

impl Failover {
    /// Fails when the machine stood still at a moment that matters: when the successor's timer was started, which the last
    /// advertisement does, or when it ended.
    pub fn check_the_machine(&self) -> Result<(), String> {
        let stall = match self.silence() {
            Some([last, announced]) => {
                calm::stood_still_ms(last, last + STARTING).max(calm::stood_still_ms(announced - ENDING, announced))
            }
            // An end is missing: any stall may have hidden it.
            None => calm::stood_still_ms(self.fault - PRELUDE, Moment::now()),
        };
        if stall > STALL_MS {
            Err(format!("measured again: the machine stood still for {stall:.1} ms"))
        } else {
            Ok(())
        }
    }

    /// Milliseconds from the fault to the successor's first announcement of the address.
    pub fn announced_ms(&self) -> Option<f64> {
        self.first(|frame| frame.host == NEW && frame.heard == Heard::Announcement(self.vip))
    }

    /// Milliseconds from the fault to the successor's first answer for the address.
    pub fn answered_ms(&self) -> Option<f64> {
        self.first(|frame| frame.host == NEW && matches!(frame.heard, Heard::Answer { .. }))
    }

    /// Milliseconds from the old Active's last advertisement before the takeover to the successor's first announcement:
    /// what the protocol calls the master-down interval, free of where in the interval the fault fell.
    pub fn silence_ms(&self) -> Option<f64> {
        self.silence().map(|[last, announced]| announced.ms_since(last))
    }

    fn silence(&self) -> Option<[Moment; 2]> {
        let announced =
            self.frames.iter().find(|frame| frame.host == NEW && frame.heard == Heard::Announcement(self.vip))?;
        let before =
            |frame: &&Frame| frame.at < announced.at && frame.host == OLD && matches!(frame.heard, Heard::Advert(_));
        self.frames.iter().rfind(before).map(|last| [last.at, announced.at])
    }

    /// The same up to the successor's first advertisement: the election alone, before the kernel is asked for the address.
    pub fn elected_ms(&self) -> Option<f64> {
        let elected = self
            .frames
            .iter()
            .find(|frame| frame.at >= self.fault && frame.host == NEW && matches!(frame.heard, Heard::Advert(_)))?;
        let before =
            |frame: &&Frame| frame.at < elected.at && frame.host == OLD && matches!(frame.heard, Heard::Advert(_));
        self.frames.iter().rfind(before).map(|last| elected.at.ms_since(last.at))
    }

    /// Milliseconds in which both hosts answered for the address: one period for each question that two answered.
    pub fn two_holders_ms(&self) -> f64 {
        let round_ms = PERIOD.as_secs_f64() * 1e3 * f64::from(ASKERS);
        let mut last: BTreeMap<IpAddr, (usize, Moment)> = BTreeMap::new();
        let mut twice = 0_u32;
        for frame in &self.frames {
            let Heard::Answer { asker, .. } = frame.heard else { continue };
            if let Some((host, at)) = last.insert(asker, (frame.host, frame.at))
                && host != frame.host
                && frame.at.ms_since(at) < round_ms / 2.0
            {
                twice += 1;
            }
        }
        f64::from(twice) * PERIOD.as_secs_f64() * 1e3
    }

    fn first(&self, wanted: impl Fn(&Frame) -> bool) -> Option<f64> {
        let frame = self.frames.iter().find(|frame| frame.at >= self.fault && wanted(frame))?;
        Some(frame.at.ms_since(self.fault))
    }
}

/// Sleeps until `span` after `moment`, if that is still to come.
fn sleep_until(moment: Moment, span: Duration) {
    let passed = Moment::now().ms_since(moment).max(0.0) / 1e3;
    sleep(span.saturating_sub(Duration::from_secs_f64(passed)));
}

/// A random share of `span`: faults keep no time with advertisements.
fn random_part_of(span: Duration) -> Duration {
    span.mul_f64(f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX))
}
