//! Joining, coming back, replacing, growing and shrinking, under a client that writes all the time.

use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Ended, Host, PATIENCE};
use crate::world::{NEWEST, World, name, with_etcd};
use crate::writer::while_writing;
use quorate::etcd::cluster::Role;
use std::time::Duration;

/// The same hosts with the manifest of these masters, and new hosts for those that are new in it.
pub fn accept(world: &World, hosts: &mut Vec<Host>, masters: &[u8], generation: u64) {
    for me in masters {
        if !hosts.iter().any(|host| host.desired.me == name(*me)) {
            hosts.push(Host::new(world, *me, masters));
        }
    }
    hosts.iter_mut().filter(|host| masters.iter().any(|me| host.desired.me == name(*me))).for_each(|host| {
        host.accept(masters, generation);
    });
}

/// Takes the leader out of the hosts; it runs on. The numbers of those that stay.
pub async fn take_the_leader(hosts: &mut Vec<Host>) -> (Host, Vec<u8>) {
    let view = hosts[0].observe().await.view.unwrap();
    let leads = |host: &Host| host.desired.me.as_str() == view.member(view.leader).unwrap().name;
    let leader = hosts.remove(hosts.iter().position(leads).unwrap());
    (leader, hosts.iter().map(|host| host.desired.me.as_str()[1..].parse().unwrap()).collect())
}

#[test]
fn fault_09_an_empty_master_joins_as_a_learner_and_is_promoted_once() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            accept(&world, &mut hosts, &[1, 2, 3], 2);
            let mut third = hosts.pop().unwrap();
            let ended = third.reconcile(PATIENCE).await;
            assert!(matches!(ended, Ended::Converged), "{ended:?}");
            let joined = third.log.iter().filter(|line| line.contains("learner") || line.contains("a voter"));
            assert_eq!(joined.count(), 2, "added once and promoted once: {:?}", third.log);
            hosts.push(third);
            assert_one_cluster(&mut hosts).await;
            let view = hosts[0].observe().await.view.unwrap();
            assert!(view.members.iter().all(|member| member.role == Role::Voter));
        })
        .await;
    });
}

#[test]
fn fault_02_a_reinstalled_master_removes_its_stale_entry_and_rejoins() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let before = hosts[0].observe().await.view.unwrap();
        while_writing(&world, &[1, 2], async {
            hosts[2].wipe();
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        let after = hosts[0].observe().await.view.unwrap();
        assert_eq!(before.cluster, after.cluster);
        let id = |view: &quorate::etcd::cluster::View| {
            view.members.iter().find(|listed| listed.name == "m3").map(|listed| listed.id)
        };
        assert_ne!(id(&before), id(&after), "a new member, not the old one without its log");
        let snapshots = quorate::etcd::snapshot::directory(&hosts[2].paths.markers());
        assert_eq!(std::fs::read_dir(snapshots).unwrap().count(), 1, "a snapshot before the removal");
    });
}

#[test]
fn the_reinstalled_leader_of_a_cluster_rejoins_too() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let (mut leader, others) = take_the_leader(&mut hosts).await;
        while_writing(&world, &others, async {
            leader.wipe();
            hosts.push(leader);
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

#[test]
fn fault_11_a_dead_master_is_replaced_by_the_manifest_that_names_another() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            hosts.pop();
            accept(&world, &mut hosts, &[1, 2, 4], 2);
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        let removals = hosts.iter().flat_map(|host| &host.log).filter(|line| line.starts_with("remove member"));
        assert_eq!(removals.count(), 1);
    });
}

#[test]
fn a_living_leader_is_replaced_without_losing_a_write() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let (removed, stay) = take_the_leader(&mut hosts).await;
        while_writing(&world, &stay, async {
            accept(&world, &mut hosts, &[stay[0], stay[1], 4], 2);
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        drop(removed);
    });
}

#[test]
fn fault_10_three_grow_to_five_and_shrink_to_three_again_one_member_at_a_time() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2, 3], async {
            accept(&world, &mut hosts, &[1, 2, 3, 4, 5], 2);
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
            hosts[..3].iter_mut().for_each(|host| host.accept(&[1, 2, 3], 3));
            converge(&mut hosts[..3]).await;
            assert_one_cluster(&mut hosts[..3]).await;
        })
        .await;
    });
}

#[test]
fn a_master_with_the_older_manifest_does_not_put_itself_back() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            accept(&world, &mut hosts, &[1, 2, 4], 2);
            let mut old = hosts.remove(2);
            converge(&mut hosts).await;
            old.wipe();
            let ended = old.reconcile(Duration::from_secs(3)).await;
            assert!(matches!(ended, Ended::Blocked(_)), "{ended:?}");
            assert!(!old.log.iter().any(|line| line.contains("learner")), "{:?}", old.log);
            assert_one_cluster(&mut hosts).await;
        })
        .await;
    });
}
