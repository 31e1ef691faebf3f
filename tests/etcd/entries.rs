//! Entries of the member list that are not what they seem, with real etcd: not yet known everywhere (fault 6), under a
//! wrong name (12), not caught up (16).

use crate::faults::WHILE;
use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Ended, Host, PATIENCE};
use crate::membership::accept;
use crate::world::{NEWEST, World, address, name, with_etcd};
use crate::writer::{self, while_writing};
use nix::sys::signal::Signal;
use quorate::etcd::cluster::{Listed, Role};
use quorate::etcd::{Action, EtcdError, peer_url};
use quorate::plan::{Hold, Plan};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The entry of a host's member list that is reached at the address of `number`.
async fn entry(host: &mut Host, number: u8) -> Listed {
    let view = host.observe().await.view.expect("a quorum read");
    let at = |listed: &&Listed| listed.peer_urls == [peer_url(address(number))];
    view.members.iter().find(at).unwrap_or_else(|| panic!("nobody is listed at m{number}: {view:?}")).clone()
}

/// Starts the master's etcd so that nobody but m4 gets through to it and it gets through to nobody: its peer port
/// lets in m4's certificate alone, and it shows the others one of a foreign CA.
fn isolate(world: &World, host: &mut Host) {
    let foreign = world.place.path().join("foreign");
    World::new(world.etcd.clone()).issue(&foreign, host.desired.me.as_str(), host.desired.address);
    let path = |file: &str| foreign.join(file).display().to_string();
    host.by_hand = vec![
        ("ETCD_PEER_CERT_ALLOWED_CN", "m4".to_owned()),
        ("ETCD_PEER_CLIENT_CERT_FILE", path("node.crt")),
        ("ETCD_PEER_CLIENT_KEY_FILE", path("node.key")),
    ];
}

#[test]
fn fault_06_a_learner_is_not_started_while_a_reachable_master_does_not_list_it() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        accept(&world, &mut hosts, &[1, 2, 3, 4, 5], 2);
        hosts.truncate(4);
        while_writing(&world, &[1, 2], async {
            // etcd adds nobody before all its connections are that old, and m3's will not get older.
            sleep(Duration::from_secs(5)).await;
            // m3 never hears of the addition: it is frozen while the others agree on it, and cut off afterwards.
            // A leader frozen with the addition in its hands would take it along.
            writer::lead(&world, 1, &[2, 3]).await;
            hosts[2].signal_etcd(Signal::SIGSTOP);
            writer::add_learner(&world, 1, &peer_url(address(4))).await;
            hosts[2].kill_etcd();
            isolate(&world, &mut hosts[2]);
            hosts[2].start_by_hand(Duration::from_secs(1)).await;
            let unaware = |plan: &Plan<Action>| {
                plan.blocked.iter().any(|blocked| blocked.why == "m3 does not list this master's learner yet")
            };
            let until = Instant::now() + WHILE;
            let mut plan = hosts[3].plan().await;
            while !unaware(&plan) && Instant::now() < until {
                plan = hosts[3].plan().await;
            }
            assert!(unaware(&plan) && plan.steps.is_empty(), "{plan:?}");
            assert!(!hosts[3].paths.etcd_data().join("member").exists());
            hosts[2].crash();
            hosts[2].by_hand.clear();
            converge(&mut hosts).await;
        })
        .await;
        let view = hosts[3].observe().await.view.unwrap();
        assert!(view.members.len() == 4 && view.members.iter().all(|listed| listed.role == Role::Voter), "{view:?}");
    });
}

#[test]
fn fault_12_an_entry_whose_name_and_address_disagree_is_removed_by_nobody() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            // Somebody starts m3's data under another name, and then its disk is lost: whose entry is it now?
            let before = entry(&mut hosts[0], 3).await;
            hosts[2].crash();
            let Ended::Converged = hosts[2].reconcile(PATIENCE).await else { panic!() };
            hosts[2].kill_etcd();
            hosts[2].by_hand = vec![("ETCD_NAME", "intruder".to_owned())];
            hosts[2].start_by_hand(PATIENCE).await;
            let until = Instant::now() + PATIENCE;
            while entry(&mut hosts[0], 3).await.name != "intruder" {
                assert!(Instant::now() < until, "the new name was never published");
                sleep(Duration::from_millis(100)).await;
            }
            hosts[2].wipe();
            hosts[2].by_hand.clear();
            let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
            assert_eq!(plan.blocked[0].hold, Hold::Refused);
            assert!(plan.blocked[0].why.contains("listed at this master's address"), "{plan:?}");
            // The others do not touch it either, not even on an earlier decision about the entry as it was.
            let named = |plan: &Plan<Action>| {
                plan.blocked.first().is_some_and(|held| held.why.contains("calls itself 'intruder'"))
            };
            let plan = hosts[0].plan_that("that names the intruder", named).await;
            assert!(plan.steps.is_empty(), "{plan:?}");
            let stale = Action::RemoveMember { cluster: hosts[0].observe().await.view.unwrap().cluster, entry: before };
            let refused = hosts[2].execute(&stale, Instant::now() + PATIENCE).await;
            assert!(matches!(&refused, Err(EtcdError::Refused { why, .. }) if why.contains("changed")), "{refused:?}");
            assert_eq!(entry(&mut hosts[0], 3).await.name, "intruder");
        })
        .await;
    });
}

#[test]
fn fault_16_the_next_master_is_replaced_only_after_the_first_replacement_votes() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1], async {
            // m4 takes the place of m3 and runs as a learner, no further.
            hosts.pop();
            accept(&world, &mut hosts, &[1, 2, 4], 2);
            let Ended::Converged = hosts[0].reconcile(PATIENCE).await else { panic!() };
            hosts[2].reconcile_to_learner(PATIENCE).await;
            assert_eq!(entry(&mut hosts[0], 4).await.role, Role::Learner);
            // The next manifest already replaces m2 as well.
            let mut second = hosts.remove(1);
            accept(&world, &mut hosts, &[1, 4, 5], 3);
            // m2 gets its time to leave by itself, and is needed even after that.
            let learning =
                |plan: &Plan<Action>| plan.blocked.first().is_some_and(|held| held.why.contains("is still learning"));
            let plan = hosts[0].plan_that("that waits for the learner", learning).await;
            assert!(plan.steps.is_empty(), "{plan:?}");
            assert_eq!(entry(&mut hosts[0], 2).await.role, Role::Voter);
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
            second.kill_etcd();
        })
        .await;
        assert!(hosts.iter().any(|host| host.desired.me == name(5)));
    });
}
