//! Never two holders: what happens to the address when its daemon cannot let go.

use crate::lab::{Lab, VIP, on_wires};
use crate::wait::{PATIENCE, until_true};
use crate::witness::Witness;
use nix::sys::signal::Signal;
use quorate::vrrp::config::Fence;
use quorate::vrrp::machine::{Reason, State};
use serde_json::json;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

/// Asks for the VIP every millisecond for `span`, and returns who answered, in order.
fn answers(witness: &Witness, span: Duration) -> Vec<String> {
    let vip: Ipv4Addr = VIP.parse().unwrap();
    let start = std::time::Instant::now();
    witness.seen();
    while start.elapsed() < span {
        witness.ask(vip);
        std::thread::sleep(Duration::from_millis(1));
    }
    // Requests for the VIP carry the asker's address; what carries the VIP itself is an answer or an announcement.
    witness.seen().iter().filter_map(|frame| frame.arp_from(vip)).collect()
}

#[test]
fn b2_a_frozen_active_and_its_successor_never_answer_together() {
    on_wires(|| {
        for interval in [1, 10, 30] {
            let mut lab = Lab::new(2);
            lab.start(&json!({ "advertIntervalCs": interval }));
            let witness = Witness::new(&lab);
            let active = lab.settled();
            let (frozen, successor) = (lab.hosts[active].mac(), lab.hosts[1 - active].mac());
            assert!(answers(&witness, Duration::from_millis(100)).contains(&frozen));
            lab.hosts[active].signal(Signal::SIGSTOP);
            let answers = answers(&witness, Duration::from_millis(60 * interval + 500));
            let last_of_frozen = answers.iter().rposition(|mac| *mac == frozen);
            let first_of_successor =
                answers.iter().position(|mac| *mac == successor).expect("a successor that answers");
            assert!(last_of_frozen.is_none_or(|last| last < first_of_successor), "{interval} cs: two holders");
            assert!(lab.hosts[active].has(VIP), "the address is still there: it was the lease that ended");
            lab.hosts[active].signal(Signal::SIGCONT);
            lab.hosts[active].comes_to(State::Backup);
            until_true("the VIP to leave the thawed one", || !lab.hosts[active].has(VIP));
            let why = lab.hosts[active].router().unwrap().why;
            assert!(matches!(why, Some(Reason::LateWake | Reason::HigherPriority)), "{why:?}");
        }
    });
}

#[test]
fn b3_a_daemon_that_wakes_up_late_sends_nothing_before_it_has_listened() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let witness = Witness::new(&lab);
        let active = lab.settled();
        lab.hosts[active].signal(Signal::SIGSTOP);
        lab.hosts[1 - active].comes_to(State::Active);
        witness.seen();
        lab.hosts[active].signal(Signal::SIGCONT);
        lab.hosts[active].comes_to(State::Backup);
        let mac = lab.hosts[active].mac();
        let said = witness.watch(Duration::from_millis(500));
        assert!(!said.iter().any(|frame| frame.source() == mac && frame.vrrp().is_some()), "it advertised");
    });
}

#[test]
fn the_lease_fences_ipv6_as_well() {
    on_wires(|| {
        // The second host runs no daemon.
        let (mut lab, at) = (Lab::new(2), 1);
        let vip = "fe80::70:33";
        lab.hosts[0].configure(&[crate::lab::router(254, &json!({ "addresses": [vip] }))]);
        lab.hosts[0].start();
        lab.hosts[0].comes_to(State::Active);
        // A neighbour asks for the address when it has something to send, and notes what it learned.
        let reaches = |lab: &Lab| {
            lab.hosts[at].sh("ip -6 neigh flush dev eth0");
            lab.hosts[at].wire.namespace.within(|| {
                let index = nix::net::if_::if_nametoindex("eth0").unwrap();
                let to = SocketAddrV6::new(vip.parse().unwrap(), 9, 0, index);
                UdpSocket::bind("[::]:0").unwrap().send_to(b"anybody?", to).unwrap();
            });
            std::thread::sleep(Duration::from_millis(50));
            lab.hosts[at].sh(&format!("ip -6 neigh show {vip} dev eth0")).contains("lladdr")
        };
        until_true("the VIP to be reached", || reaches(&lab));
        lab.hosts[0].signal(Signal::SIGSTOP);
        // Three tenths of a second and what the lease is short of it.
        std::thread::sleep(Duration::from_millis(400));
        assert!(lab.hosts[0].has(vip));
        assert!(!reaches(&lab), "a frozen daemon's host still answers");
        lab.hosts[0].signal(Signal::SIGCONT);
        until_true("the VIP to be reached again", || reaches(&lab));
    });
}

#[test]
fn without_the_table_the_address_lifetime_is_the_fence_and_the_state_says_so() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.hosts[0].configure(&[crate::lab::router(254, &json!({}))]);
        lab.hosts[0].start_without_fence();
        lab.hosts[0].comes_to(State::Active);
        let state = lab.hosts[0].state().unwrap();
        assert_eq!(state.fence, Fence::LifetimeOnly);
        assert!(state.fence_problem.unwrap().contains("quorate_vrrp"));
        until_true("the VIP on its link", || lab.hosts[0].has(VIP));
        lab.hosts[0].signal(Signal::SIGSTOP);
        until_true("the kernel to take the VIP off", || !lab.hosts[0].has(VIP));
    });
}

#[test]
fn a_flushed_ruleset_is_noticed_and_a_reloaded_one_taken_up() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        let fence_is = |lab: &Lab, fence| lab.hosts[0].state().is_some_and(|state| state.fence == fence);
        until_true("the lease", || fence_is(&lab, Fence::Lease));
        lab.hosts[0].comes_to(State::Active);
        lab.hosts[0].sh("nft flush ruleset");
        until_true("the loss to be noticed", || fence_is(&lab, Fence::LifetimeOnly));
        lab.hosts[0].load_fence();
        until_true("the lease again", || fence_is(&lab, Fence::Lease));
    });
}

#[test]
fn a_reload_to_a_link_without_rules_is_told() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        lab.hosts[0].comes_to(State::Active);
        lab.hosts[0].sh(
            "ip link add link eth0 name mv0 type macvlan && ip link set mv0 up && ip addr add 10.8.0.11/24 dev mv0",
        );
        lab.hosts[0].configure(&[crate::lab::router(254, &json!({ "link": "mv0", "addresses": ["10.8.0.100"] }))]);
        lab.hosts[0].signal(Signal::SIGHUP);
        until_true("the loss of the lease to be told", || {
            lab.hosts[0].state().is_some_and(|state| {
                state.fence == Fence::LifetimeOnly && state.fence_problem.is_some_and(|problem| problem.contains("mv0"))
            })
        });
        lab.hosts[0].comes_to(State::Active);
    });
}

#[test]
fn d6_a_backup_that_routes_forwards_nothing_to_the_vip() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let witness = Witness::new(&lab);
        let backup = &lab.hosts[1 - lab.settled()];
        backup.sh("sysctl -qw net.ipv4.ip_forward=1");
        let forwarded = || -> u64 {
            let table = backup.sh("grep ^Ip: /proc/net/snmp");
            let [names, values] = table.lines().collect::<Vec<_>>()[..] else { panic!("{table}") };
            let at = names.split(' ').position(|name| name == "ForwDatagrams").unwrap();
            values.split(' ').nth(at).unwrap().parse().unwrap()
        };
        for _ in 0..20 {
            witness.misroute(backup.wire.mac(), VIP.parse().unwrap());
        }
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(forwarded(), 0);
        // It is the fence that does it.
        backup.sh("nft delete table netdev quorate_vrrp");
        until_true("the kernel to forward", || {
            witness.misroute(backup.wire.mac(), VIP.parse().unwrap());
            forwarded() > 0
        });
    });
}

#[test]
fn d2_connections_to_the_vip_end_at_the_active() {
    on_wires(|| {
        let mut lab = Lab::new(3);
        for (at, priority) in [(0, 254), (1, 253)] {
            lab.hosts[at].configure(&[crate::lab::router(priority, &json!({}))]);
            lab.hosts[at].start();
        }
        let active = lab.settled();
        let service = SocketAddr::new(VIP.parse().unwrap(), 6443);
        until_true("the VIP on its link", || lab.hosts[active].has(VIP));
        let listener =
            lab.hosts[active].wire.namespace.within(|| TcpListener::bind((Ipv4Addr::UNSPECIFIED, 6443)).unwrap());
        let client = lab.hosts[2].wire.namespace.within(|| TcpStream::connect_timeout(&service, PATIENCE).unwrap());
        assert_eq!(listener.accept().unwrap().0.local_addr().unwrap(), service);
        drop(client);
    });
}
