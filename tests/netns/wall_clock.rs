//! The wall clock of the masters is set while they run (B6).
//!
//! A real step would be felt by everything else on the machine, and time namespaces shift no wall clock. So each daemon gets one of its own,
//! by a library that is loaded before it. The kernel's stamps stay as they are: to the daemon, every datagram was received an hour
//! from when it is read, which a real step does to those that wait in that moment.

use crate::lab::{Lab, on_wires, router};
use crate::wait::until_true;
use crate::wire::world;
use quorate::vrrp::machine::State;
use serde_json::json;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const HOUR_S: i64 = 3600;

#[test]
fn b6_a_wall_clock_that_is_set_moves_nobody() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        let (library, offset) = (lab.place.path().join("wall_clock.so"), lab.place.path().join("offset"));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/netns/wall_clock.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(source).output();
        let built = match built {
            Ok(built) => built,
            Err(error) => return world::skip("b6_a_wall_clock_that_is_set_moves_nobody", &format!("cc: {error}")),
        };
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::fs::write(&offset, 0_i64.to_ne_bytes()).unwrap();
        let environment: [(&str, &Path); 2] = [("LD_PRELOAD", &library), ("WALL_CLOCK_OFFSET", &offset)];
        for (at, priority) in [(0, 254), (1, 253)] {
            lab.hosts[at].configure(&[router(priority, &json!({}))]);
            lab.hosts[at].load_fence();
            lab.hosts[at].start_with(&environment);
        }
        let active = lab.settled();
        let clock = File::options().write(true).open(&offset).unwrap();
        let before: Vec<_> = lab.hosts.iter().map(|host| host.router().unwrap()).collect();
        for step in [HOUR_S, 0, -HOUR_S, 0] {
            let started = lab.hosts[0].state().unwrap().updated;
            clock.write_all_at(&step.to_ne_bytes(), 0).unwrap();
            // Both say so themselves, or the library was not in force.
            let moved = |at: usize| lab.hosts[at].state().unwrap().updated.duration_since(started).as_secs().abs();
            until_true("both to notice", || (0..2).all(|at| moved(at) > HOUR_S / 2));
            std::thread::sleep(Duration::from_secs(1));
        }
        for (host, before) in lab.hosts.iter().zip(&before) {
            let after = host.router().unwrap();
            assert_eq!((after.state, after.transitions), (before.state, before.transitions), "{}", host.log());
            assert!(after.counters.sent + after.counters.received > before.counters.sent + before.counters.received);
        }
        lab.hosts[active].comes_to(State::Active);
    });
}
