//! One Active, and another after it: however the first one goes.

use crate::lab::{Lab, VIP, on_wires};
use crate::wait::until_true;
use crate::witness::Witness;
use nix::sys::signal::Signal;
use quorate::vrrp::machine::{Reason, State};
use serde_json::json;
use std::time::Duration;

#[test]
fn f1_f2_f6_one_of_two_masters_holds_the_vip_and_both_say_which() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let active = lab.settled();
        until_true("the VIP on its link", || lab.hosts[active].has(VIP));
        assert!(!lab.hosts[1 - active].has(VIP));
        until_true("both to name the Active", || {
            lab.hosts
                .iter()
                .all(|host| host.router().is_some_and(|router| router.active == Some(lab.hosts[active].address())))
        });
    });
}

#[test]
fn b2_when_a_daemon_and_its_guardian_are_killed_silence_hands_over() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let active = lab.settled();
        lab.hosts[active].kill_with_guardian();
        lab.hosts[1 - active].comes_to(State::Active);
        assert_eq!(lab.hosts[1 - active].router().unwrap().why, Some(Reason::Silence));
    });
}

#[test]
fn b2_the_guardian_resigns_for_a_daemon_that_was_killed() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        // At one second the silence alone would take three.
        lab.start(&json!({ "advertIntervalCs": 100 }));
        let active = lab.settled();
        until_true("the VIP on its link", || lab.hosts[active].has(VIP));
        lab.hosts[active].guardian();
        lab.hosts[active].kill();
        lab.hosts[1 - active].comes_to(State::Active);
        assert_eq!(lab.hosts[1 - active].router().unwrap().why, Some(Reason::Resignation));
        assert!(!lab.hosts[active].has(VIP));
    });
}

#[test]
fn a_guardian_that_is_killed_is_replaced_and_one_that_is_told_to_stop_stays() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        let first = lab.hosts[0].guardian();
        until_true("the guardian to block signals", || {
            let status = std::fs::read_to_string(format!("/proc/{first}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("SigBlk:") && !line.ends_with("0000000000000000"))
        });
        nix::sys::signal::kill(first, Signal::SIGTERM).unwrap();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(lab.hosts[0].guardian(), first);
        nix::sys::signal::kill(first, Signal::SIGKILL).unwrap();
        until_true("another guardian", || lab.hosts[0].guardian() != first);
    });
}

#[test]
fn b2_the_units_last_step_resigns_for_a_daemon_that_was_killed() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        // At one second the silence alone would take three.
        lab.start(&json!({ "advertIntervalCs": 100 }));
        let active = lab.settled();
        until_true("the VIP on its link", || lab.hosts[active].has(VIP));
        lab.hosts[active].kill_with_guardian();
        lab.hosts[active].release();
        assert!(!lab.hosts[active].has(VIP));
        lab.hosts[1 - active].comes_to(State::Active);
        assert_eq!(lab.hosts[1 - active].router().unwrap().why, Some(Reason::Resignation));
    });
}

#[test]
fn f16_a_stopped_active_resigns_removes_its_address_and_its_state() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({ "advertIntervalCs": 100 }));
        let witness = Witness::new(&lab);
        let active = lab.settled();
        until_true("the VIP on its link", || lab.hosts[active].has(VIP));
        witness.seen();
        lab.hosts[active].stop();
        assert!(!lab.hosts[active].has(VIP));
        assert!(lab.hosts[active].state().is_none(), "a daemon that is gone says nothing of itself");
        lab.hosts[1 - active].comes_to(State::Active);
        assert_eq!(lab.hosts[1 - active].router().unwrap().why, Some(Reason::Resignation));
        let mac = lab.hosts[active].mac();
        let last = witness
            .watch(Duration::from_millis(100))
            .into_iter()
            .rfind(|frame| frame.source() == mac && frame.vrrp().is_some());
        assert_eq!(last.unwrap().vrrp().unwrap().1[2], 0, "its last advertisement resigns");
    });
}

#[test]
fn f16_a_stopped_backup_says_nothing() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let witness = Witness::new(&lab);
        let backup = 1 - lab.settled();
        // Whoever lost the first election may have advertised before.
        witness.watch(Duration::from_millis(300));
        lab.hosts[backup].stop();
        let mac = lab.hosts[backup].mac();
        let said = witness.watch(Duration::from_millis(300));
        assert!(!said.iter().any(|frame| frame.source() == mac && frame.vrrp().is_some()));
    });
}

#[test]
fn f18_a_master_whose_link_goes_down_lets_go_and_comes_back_as_backup() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let active = lab.settled();
        lab.port(active, "down");
        lab.hosts[active].comes_to(State::Initialize);
        until_true("the VIP to leave its link", || !lab.hosts[active].has(VIP));
        lab.hosts[1 - active].comes_to(State::Active);
        lab.port(active, "up");
        lab.hosts[active].comes_to(State::Backup);
        assert_eq!(lab.settled(), 1 - active, "a working Active is left alone");
    });
}

#[test]
fn f18_a_lost_source_address_is_a_lost_link() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let active = lab.settled();
        let own = format!("{}/16", lab.hosts[active].address());
        lab.hosts[active].sh(&format!("ip addr del {own} dev eth0"));
        lab.hosts[active].comes_to(State::Initialize);
        lab.hosts[1 - active].comes_to(State::Active);
        lab.hosts[active].sh(&format!("ip addr add {own} dev eth0"));
        lab.hosts[active].comes_to(State::Backup);
    });
}

#[test]
fn f17_f9_a_preferred_master_takes_over_only_where_it_may() {
    on_wires(|| {
        for (preempt, expected) in [("atOnce", State::Active), ("never", State::Backup)] {
            let mut lab = Lab::new(2);
            for (at, priority) in [(1, 253), (0, 254)] {
                lab.hosts[at].configure(&[crate::lab::router(priority, &json!({ "preempt": preempt }))]);
                lab.hosts[at].start();
                if at == 1 {
                    lab.hosts[1].comes_to(State::Active);
                }
            }
            if expected == State::Backup {
                // Longer than it would take to preempt.
                std::thread::sleep(Duration::from_secs(1));
            }
            lab.hosts[0].comes_to(expected);
            lab.settled();
        }
    });
}

#[test]
fn b9_a_frozen_and_thawed_backup_does_not_disturb_its_active() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let active = lab.settled();
        for _ in 0..5 {
            lab.hosts[1 - active].signal(Signal::SIGSTOP);
            std::thread::sleep(Duration::from_millis(700));
            lab.hosts[1 - active].signal(Signal::SIGCONT);
            std::thread::sleep(Duration::from_millis(300));
        }
        assert_eq!(lab.settled(), active);
        assert_eq!(lab.hosts[active].router().unwrap().transitions, 2, "{}", lab.hosts[active].log());
    });
}
