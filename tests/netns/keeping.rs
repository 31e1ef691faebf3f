//! Staying alive while others meddle: reloads, removed addresses, many routers.

use crate::lab::{Lab, VIP, on_wires, router};
use crate::wait::{until, until_true};
use crate::witness::Witness;
use nix::sys::signal::Signal;
use quorate::vrrp::machine::{Reason, State};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

#[test]
fn b4_reloads_cost_no_advertisement_and_no_transition() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let witness = Witness::new(&lab);
        let active = lab.settled();
        let before = lab.hosts[active].router().unwrap();
        let digest = lab.hosts[active].state().unwrap().config_digest;
        witness.seen();
        let start = Instant::now();
        for turn in 0..20 {
            // White space is another file, hence another digest, with the same meaning.
            let text = std::fs::read_to_string(&lab.hosts[active].config).unwrap();
            std::fs::write(&lab.hosts[active].config, format!("{text}{}", " ".repeat(turn % 2 + 1))).unwrap();
            lab.hosts[active].signal(Signal::SIGHUP);
            std::thread::sleep(Duration::from_millis(100));
        }
        until_true("the new digest", || lab.hosts[active].state().is_some_and(|state| state.config_digest != digest));
        let mac = lab.hosts[active].mac();
        let expected = start.elapsed().as_millis() / 100;
        let adverts = witness.seen().iter().filter(|frame| frame.source() == mac && frame.vrrp().is_some()).count();
        // Half would already be too few for a peer to stay quiet; how regular they are is for the bench to say.
        assert!(adverts as u128 > expected / 2, "{adverts} advertisements where {expected} were due");
        let after = lab.hosts[active].router().unwrap();
        assert_eq!((after.transitions, after.since), (before.transitions, before.since), "{}", lab.hosts[active].log());
        assert_eq!(lab.settled(), active);
    });
}

#[test]
fn a_broken_configuration_is_refused_and_the_old_one_runs_on() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        lab.hosts[0].comes_to(State::Active);
        std::fs::write(&lab.hosts[0].config, "{").unwrap();
        lab.hosts[0].signal(Signal::SIGHUP);
        until_true("the refusal in the log", || lab.hosts[0].log().contains("is not taken over"));
        lab.hosts[0].comes_to(State::Active);
        assert!(lab.hosts[0].has(VIP));
    });
}

#[test]
fn t11_a_reload_moves_the_addresses_and_the_priority_in_place() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        let witness = Witness::new(&lab);
        lab.hosts[0].comes_to(State::Active);
        lab.hosts[0].configure(&[router(200, &json!({ "addresses": ["10.77.0.101", "10.77.0.102"] }))]);
        witness.seen();
        lab.hosts[0].signal(Signal::SIGHUP);
        until_true("the new addresses", || lab.hosts[0].has("10.77.0.101") && lab.hosts[0].has("10.77.0.102"));
        until_true("the old address to go", || !lab.hosts[0].has(VIP));
        let adverts: Vec<Vec<u8>> =
            witness.seen().iter().filter_map(|frame| frame.vrrp().map(|(_, message)| message.to_vec())).collect();
        let first_new = adverts.iter().position(|message| message[2] == 200).unwrap();
        assert_eq!(adverts[first_new][3], 2, "priority and addresses change in one advertisement");
        assert!(adverts[first_new..].iter().all(|message| message[2] == 200));
        assert_eq!(lab.hosts[0].router().unwrap().transitions, 2);
    });
}

#[test]
fn a_router_that_is_configured_away_resigns_and_a_new_one_starts() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        lab.hosts[0].comes_to(State::Active);
        lab.hosts[0].configure(&[router(254, &json!({ "vrid": 52, "addresses": ["10.77.0.101"] }))]);
        lab.hosts[0].signal(Signal::SIGHUP);
        until_true("the old address to go", || !lab.hosts[0].has(VIP));
        until_true("the new address", || lab.hosts[0].has("10.77.0.101"));
    });
}

#[test]
fn b5_an_address_that_somebody_removes_comes_back() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        lab.hosts[0].comes_to(State::Active);
        for _ in 0..5 {
            until_true("the VIP on its link", || lab.hosts[0].has(VIP));
            lab.hosts[0].sh(&format!("ip addr del {VIP}/32 dev eth0"));
        }
        until_true("the VIP on its link", || lab.hosts[0].has(VIP));
        assert_eq!(lab.hosts[0].router().unwrap().transitions, 2);
    });
}

#[test]
fn b5_a_master_whose_kernel_refuses_an_address_resigns_and_another_takes_over() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        // Elected over IPv4 alone, so that the master stays on the wire when its kernel will have no IPv6 address any more.
        for (at, peer) in [(0, 1), (1, 0)] {
            let transport = json!({ "unicast": { "peers": [lab.hosts[peer].address()] } });
            let changes = json!({ "transport": transport, "addresses": [VIP, "fe80::70:33"], "advertIntervalCs": 100 });
            lab.hosts[at].configure(&[router(if at == 0 { 254 } else { 253 }, &changes)]);
            lab.hosts[at].start();
        }
        let active = lab.settled();
        until_true("both addresses", || lab.hosts[active].has(VIP) && lab.hosts[active].has("fe80::70:33"));
        lab.hosts[active].sh("sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1");
        lab.hosts[1 - active].comes_to(State::Active);
        lab.hosts[active].comes_to(State::Backup);
        assert_eq!(lab.hosts[1 - active].router().unwrap().why, Some(Reason::Resignation));
        assert_eq!(lab.hosts[active].router().unwrap().why, Some(Reason::VipRefused));
        until_true("the other address to go as well", || !lab.hosts[active].has(VIP));
        let log = lab.hosts[active].log();
        assert!(log.contains("address fe80::70:33: the kernel refused to install the VIP: Permission denied"), "{log}");
        assert_eq!(log.matches("refused to install").count(), 1, "said once: {log}");
    });
}

#[test]
fn an_address_left_by_a_crash_is_removed_at_start() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let active = lab.settled();
        until_true("the VIP on its link", || lab.hosts[active].has(VIP));
        lab.hosts[active].kill_with_guardian();
        lab.hosts[1 - active].comes_to(State::Active);
        assert!(lab.hosts[active].has(VIP), "nobody was left to take it off");
        lab.hosts[active].start();
        lab.hosts[active].comes_to(State::Backup);
        assert!(!lab.hosts[active].has(VIP));
    });
}

#[test]
fn b7_255_routers_are_taken_over_and_their_advertisements_stay_on_time() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        let routers = |priority: u8| -> Vec<Value> {
            (1..=255)
                .map(|vrid| router(priority, &json!({ "vrid": vrid, "addresses": [format!("10.10.0.{vrid}")] })))
                .collect()
        };
        for (at, priority) in [(0, 254), (1, 253)] {
            lab.hosts[at].configure(&routers(priority));
            lab.hosts[at].start();
        }
        let all = |lab: &Lab, at: usize, wanted: State| {
            lab.hosts[at].state().is_some_and(|state| {
                state.routers.len() == 255 && state.routers.iter().all(|router| router.state == wanted)
            })
        };
        let active = until("255 Actives on one host", || {
            (0..2).find(|at| all(&lab, *at, State::Active) && all(&lab, 1 - *at, State::Backup))
        });
        lab.hosts[active].stop();
        until_true("255 Actives on the other", || all(&lab, 1 - active, State::Active));
        until_true("255 addresses", || {
            lab.hosts[1 - active].sh("ip -o addr show dev eth0").matches("10.10.0.").count() == 255
        });
        let counted = || -> (u64, u64) {
            let routers = lab.hosts[1 - active].state().unwrap().routers;
            routers
                .iter()
                .fold((0, 0), |(sent, moves), router| (sent + router.counters.sent, moves + router.transitions))
        };
        let before = counted();
        until_true("1000 advertisements of each", || counted().0 >= before.0 + 255 * 10);
        assert_eq!(counted().1, before.1, "no transition under the load of a takeover");
    });
}

#[test]
fn b10_the_vip_is_never_a_source_address() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({ "addresses": [VIP, "fe80::70:33", "2001:db8::100"] }));
        lab.hosts[0].sh("ip addr add 2001:db8::11/64 dev eth0 nodad");
        lab.hosts[0].comes_to(State::Active);
        until_true("the VIP on its link", || lab.hosts[0].has("2001:db8::100"));
        assert!(lab.hosts[0].sh("ip route get 10.77.0.2").contains("src 10.77.0.1"));
        assert!(lab.hosts[0].sh("ip route get 2001:db8::12").contains("src 2001:db8::11"));
        let link_local = lab.hosts[0].sh("ip route get fe80::12 dev eth0");
        assert!(!link_local.contains("src fe80::70:33"), "{link_local}");
        assert_eq!(lab.hosts[0].sh("ip addr show dev eth0").matches("noprefixroute").count(), 3);
    });
}

#[test]
fn b7_80_addresses_move_at_once_and_advertisements_stay_on_time() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        let addresses: Vec<String> = (1..=80).map(|last| format!("10.10.0.{last}")).collect();
        lab.start(&json!({ "addresses": addresses }));
        let active = lab.settled();
        lab.hosts[active].stop();
        let other = &lab.hosts[1 - active];
        other.comes_to(State::Active);
        until_true("80 addresses", || other.sh("ip -o addr show dev eth0").matches("10.10.0.").count() == 80);
        until_true("more advertisements", || other.router().is_some_and(|router| router.counters.sent >= 10));
        assert_eq!(other.router().unwrap().transitions, 2, "{}", other.log());
    });
}

#[test]
fn b9_busy_processors_and_disks_cause_no_takeover_and_lateness_is_told() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let active = lab.settled();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (stop, place) = (&stop, lab.place.path().join(format!("load{number}")));
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        if number < 2 {
                            let mut file = std::fs::File::create(&place).unwrap();
                            std::io::Write::write_all(&mut file, &[7; 1 << 20]).unwrap();
                            file.sync_all().unwrap();
                        } else {
                            std::hint::black_box((0..100_000_u64).fold(0, u64::wrapping_add));
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_secs(5));
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(lab.settled(), active);
        let router = lab.hosts[active].router().unwrap();
        assert_eq!(router.transitions, 2, "{}", lab.hosts[active].log());
        assert!(router.counters.latest_us > 0, "the greatest lateness is counted: {:?}", router.counters);
    });
}

#[test]
fn b9_no_page_of_the_program_has_to_be_read_from_the_disk() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        lab.hosts[0].comes_to(State::Active);
        let maps = std::fs::read_to_string(format!("/proc/{}/smaps", lab.hosts[0].pid())).unwrap();
        // The name of the mapping stands in its first line, the sizes in lines of their own behind it.
        let (mut mapped, mut name) = (BTreeMap::<String, [u64; 2]>::new(), "");
        for line in maps.lines() {
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            let sizes = mapped.entry(name.to_owned()).or_default();
            match fields[..] {
                [_, _, _, _, _, path] => name = path,
                ["Size:", kilobytes, _] => sizes[0] += kilobytes.parse::<u64>().unwrap(),
                ["Rss:", kilobytes, _] => sizes[1] += kilobytes.parse::<u64>().unwrap(),
                [_, _, _, _, _] => name = "",
                _ => {}
            }
        }
        mapped.retain(|name, _| name.starts_with('/'));
        assert!(mapped.keys().any(|name| name.ends_with("quorate-vrrpd")), "{maps}");
        assert!(
            mapped.values().all(|[size, resident]| size == resident),
            "size and what is resident, in KiB: {mapped:?}"
        );
        assert_eq!(lab.hosts[0].log().matches("memory is not locked").count(), 0);
    });
}
