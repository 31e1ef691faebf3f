//! A master that the manifest names no more: it hands over, leaves by itself, and keeps its data aside.

use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Cut, Ended, Host, PATIENCE};
use crate::membership::{accept, take_the_leader};
use crate::world::{NEWEST, World, with_etcd};
use crate::writer::while_writing;
use futures_util::future::{join, join_all};
use quorate::etcd::genesis::{Held, Marker, marker};
use std::time::Duration;
use tokio::time::timeout;

/// More steps than leaving has.
const MOST_STEPS: usize = 8;

/// The host has left: it says so, runs no etcd, has noted it, and its data is in the archive.
fn assert_left(host: &Host, ended: &Ended) {
    let Ended::Blocked(plan) = ended else { panic!("{}: {ended:?}", host.desired.me) };
    assert!(plan.blocked[0].why.contains("it has left the cluster"), "{plan:?}");
    assert_eq!(host.etcd_pid(), None, "etcd is stopped");
    let Held::Marker(Marker::Removed { etcd, member, .. }) = marker::read(&host.paths) else { panic!() };
    let archive = host.paths.etcd_data().join("archive").join(format!("{etcd:x}-{member:x}"));
    assert!(archive.join("member/wal").exists() && !host.paths.etcd_data().join("member").exists());
}

fn removals(hosts: &[Host]) -> usize {
    hosts.iter().flat_map(|host| &host.log).filter(|line| line.starts_with("remove member")).count()
}

#[test]
fn a_replaced_leader_hands_over_leaves_by_itself_and_keeps_its_data_aside() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let (mut leaver, stay) = take_the_leader(&mut hosts).await;
        let masters = [stay[0], stay[1], 4];
        while_writing(&world, &stay, async {
            accept(&world, &mut hosts, &masters, 2);
            leaver.accept(&masters, 2);
            hosts.iter_mut().for_each(|host| host.hurry = 1);
            let (ended, ()) = join(leaver.reconcile(PATIENCE), converge(&mut hosts)).await;
            assert_left(&leaver, &ended);
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        assert_eq!((removals(&hosts), removals(&[leaver])), (0, 1), "it removed itself");
    });
}

#[test]
fn five_shrink_to_three_by_two_that_leave_one_after_the_other() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3, 4, 5]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2, 3], async {
            hosts.iter_mut().for_each(|host| {
                host.accept(&[1, 2, 3], 2);
                host.hurry = 1;
            });
            let (stay, leave) = hosts.split_at_mut(3);
            let (ended, ()) =
                join(join_all(leave.iter_mut().map(|host| host.reconcile(PATIENCE))), converge(stay)).await;
            leave.iter().zip(&ended).for_each(|(host, ended)| assert_left(host, ended));
        })
        .await;
        let leavers = hosts.split_off(3);
        assert_one_cluster(&mut hosts).await;
        assert_eq!((removals(&hosts), removals(&leavers)), (0, 2), "they removed themselves");
    });
}

#[test]
fn a_master_that_is_needed_stays_until_another_one_is_back() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 3], async {
            hosts[1].crash();
            hosts[2].crash();
            hosts.iter_mut().for_each(|host| host.accept(&[1, 2, 4], 2));
            // m3 comes back with a manifest that does not name it, and m1 needs it for the quorum.
            let Ended::Blocked(plan) = hosts[2].reconcile(Duration::from_secs(8)).await else { panic!() };
            assert!(plan.blocked.iter().any(|blocked| blocked.why.starts_with("m2 is not healthy")), "{plan:?}");
            assert!(hosts[2].etcd_pid().is_some(), "it serves meanwhile");
            accept(&world, &mut hosts, &[1, 2, 4], 2);
            let mut leaver = hosts.remove(2);
            let (ended, ()) = join(leaver.reconcile(PATIENCE), converge(&mut hosts)).await;
            assert_left(&leaver, &ended);
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

/// Whether the masters that stay run their loop as well, or leave everything to the one that goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Idle,
    AtWork,
}

/// Growing to four and shrinking to three again, with `cut` after every single step of the fourth's leaving.
async fn cut_while_leaving(world: &World, cut: Cut, others: Others) {
    let mut hosts = hosts(world, &[1, 2, 3]);
    converge(&mut hosts).await;
    while_writing(world, &[1, 2, 3], async {
        for steps in 1..MOST_STEPS {
            let generation = 2 * u64::try_from(steps).unwrap();
            accept(world, &mut hosts, &[1, 2, 3, 4], generation);
            converge(&mut hosts).await;
            hosts.iter_mut().for_each(|host| host.accept(&[1, 2, 3], generation + 1));
            let (stay, leaver) = hosts.split_at_mut(3);
            let leaver = &mut leaver[0];
            leaver.log.clear();
            let leave = async {
                let done = leaver.reconcile_until(cut, steps, PATIENCE).await;
                let ended = leaver.reconcile(PATIENCE).await;
                assert_left(leaver, &ended);
                done
            };
            let done = match others {
                Others::Idle => leave.await,
                Others::AtWork => join(leave, converge(stay)).await.0,
            };
            assert!(removals(&hosts[3..]) <= 1, "{:?}", hosts[3].log);
            converge(&mut hosts[..3]).await;
            assert_one_cluster(&mut hosts[..3]).await;
            if done < steps {
                assert!(steps > 3, "leaving has at least as many steps");
                return;
            }
        }
        panic!("leaving never ended within {MOST_STEPS} steps");
    })
    .await;
}

#[test]
fn a_leaving_master_cut_off_from_power_after_any_step_has_left_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_while_leaving(&world, Cut::Power, Others::Idle).await });
}

#[test]
fn a_leaving_master_whose_etcd_is_killed_after_any_step_has_left_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_while_leaving(&world, Cut::Etcd, Others::Idle).await });
}

#[test]
fn a_leaving_master_whose_quorate_is_killed_after_any_step_has_left_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_while_leaving(&world, Cut::Quorate, Others::Idle).await });
}

#[test]
fn a_leaving_master_cut_off_while_the_others_remove_it_has_left_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_while_leaving(&world, Cut::Power, Others::AtWork).await });
}

#[test]
fn quorate_killed_at_any_moment_of_leaving_is_followed_by_one_that_finishes_it() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3, 4, 5]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2, 3], async {
            hosts.iter_mut().for_each(|host| host.accept(&[1, 2, 3], 2));
            for cut_ms in [3, 7, 13, 29, 53, 101, 211, 401, 797] {
                for host in &mut hosts {
                    let _cut = timeout(Duration::from_millis(cut_ms), host.reconcile(PATIENCE)).await;
                    host.restart_quorate();
                }
            }
            let (stay, leave) = hosts.split_at_mut(3);
            let (ended, ()) =
                join(join_all(leave.iter_mut().map(|host| host.reconcile(PATIENCE))), converge(stay)).await;
            leave.iter().zip(&ended).for_each(|(host, ended)| assert_left(host, ended));
        })
        .await;
        hosts.truncate(3);
        assert_one_cluster(&mut hosts).await;
    });
}
