//! A stream of advertisements with a wrong checksum for the same virtual router, from a host that takes no part: nothing may follow.

use super::cadence::Cadence;
use super::failover;
use super::quiet::QuietLab;
use crate::wire::{Kind, Observer, prober};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How the report calls it.
pub const NAME: &str = "garbage stream, 100 ms";

const INTERVAL_CS: u32 = 10;
/// Less than an interval, so that a daemon that starts its timer again at every packet never gets to advertise.
const PERIOD: Duration = Duration::from_millis(40);
const STREAM: Duration = Duration::from_secs(3);
/// The third host's address.
const SOURCE: [u8; 4] = [10, 77, 0, 3];

/// What was seen of the advertisements while the stream lasted, and in the second after it.
pub fn measure(kind: Kind) -> Result<Cadence, String> {
    let (router, lab) = (failover::router(INTERVAL_CS), QuietLab::new(2));
    let observer = Observer::start(&lab);
    let speakers = failover::settle(kind, &lab, &observer, &router)?;
    observer.clear();
    let (socket, mac) = lab.switch.within(prober::open);
    let garbage = advertisement(mac, router.vrid);
    let until = Instant::now() + STREAM;
    while Instant::now() < until {
        nix::unistd::write(&socket, &garbage).map_err(|error| error.to_string())?;
        sleep(PERIOD);
    }
    sleep(Duration::from_secs(1));
    let cadence = Cadence::of(&observer.frames(), router.interval());
    if kind == Kind::Quorate && cadence.transitions > 0.0 {
        // This counts; why it happened is worth knowing.
        let logs: Vec<_> = speakers.iter().map(|speaker| format!("{}\n{}", speaker.log(), speaker.account())).collect();
        eprintln!("{NAME}: {cadence:?}\n{}", logs.join("\n"));
    }
    Ok(cadence)
}

/// A VRRPv3 advertisement of priority 200 that is right in everything but its checksum.
fn advertisement(mac: [u8; 6], vrid: u8) -> Vec<u8> {
    let message = [0x31, vrid, 200, 1, 0, 10, 0xde, 0xad, 10, 77, 1, 0];
    let mut header =
        [0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, SOURCE[0], SOURCE[1], SOURCE[2], SOURCE[3], 224, 0, 0, 18];
    let checksum = !crate::wire::frame::sum(&header, 0);
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
    [&[0x01, 0x00, 0x5e, 0, 0, 18][..], &mac, &[0x08, 0x00], &header, &message].concat()
}
