//! Probes move the VIP to a healthier master, and never take it away from everybody.

use crate::lab::{Lab, VIP, on_wires, router};
use crate::wait::until_true;
use quorate::vrrp::machine::State;
use serde_json::json;
use std::net::TcpListener;
use std::time::Duration;

const PORT: u16 = 6443;

/// Something to probe in a host's namespace; a listening socket answers without anybody accepting.
fn serve(lab: &Lab, at: usize) -> TcpListener {
    lab.hosts[at].wire.namespace.within(|| TcpListener::bind(("127.0.0.1", PORT)).unwrap())
}

#[test]
fn an_unhealthy_active_is_relieved_and_all_unhealthy_keep_the_vip() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        let mut servers: Vec<_> = (0..2).map(|at| Some(serve(&lab, at))).collect();
        for (at, priority) in [(0, 254), (1, 253)] {
            lab.hosts[at].configure_whole(&json!({
                "routers": [router(priority, &json!({ "healthyFrom": 253 }))],
                "probes": [{ "target": { "tcp": format!("127.0.0.1:{PORT}") }, "intervalMs": 50, "fall": 3, "rise": 2 }]
            }));
            lab.hosts[at].start();
        }
        let priority_is = |lab: &Lab, at: usize, wanted: u8| {
            until_true(&format!("priority {wanted}"), || {
                lab.hosts[at].router().is_some_and(|router| router.priority == wanted)
            });
        };
        priority_is(&lab, 0, 254);
        priority_is(&lab, 1, 253);
        let active = lab.settled();
        servers[active] = None;
        lab.hosts[1 - active].comes_to(State::Active);
        lab.hosts[active].comes_to(State::Backup);
        let complaint = lab.hosts[active].state().unwrap().unhealthy.join(" ");
        assert!(complaint.contains("127.0.0.1:6443"), "{complaint}");
        // Now nobody is healthy: it stays where it is.
        servers[1 - active] = None;
        until_true("the other to be unhealthy", || {
            lab.hosts[1 - active].state().is_some_and(|s| !s.unhealthy.is_empty())
        });
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(lab.settled(), 1 - active);
        assert!(lab.hosts[1 - active].has(VIP));
        // The first one recovers and takes it back from the unhealthy one.
        servers[active] = Some(serve(&lab, active));
        lab.hosts[active].comes_to(State::Active);
    });
}
