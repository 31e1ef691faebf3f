//! First formation with real etcd.

use crate::host::{Ended, Host, PATIENCE};
use crate::world::{NEWEST, World, with_etcd};
use crate::writer::while_writing;
use futures_util::future::join_all;
use quorate::etcd::Action;
use quorate::etcd::genesis::peer::Agent;
use quorate::etcd::genesis::{Held, Marker, Round, marker};
use quorate::etcd::observe;
use quorate::plan::Plan;
use std::time::Duration;
use tokio::time::Instant;

pub fn hosts(world: &World, masters: &[u8]) -> Vec<Host> {
    masters.iter().map(|me| Host::new(world, *me, masters)).collect()
}

/// All run at once until each has converged.
pub async fn converge(hosts: &mut [Host]) {
    for (host, ended) in hosts
        .iter()
        .map(|host| host.desired.me.clone())
        .collect::<Vec<_>>()
        .into_iter()
        .zip(join_all(hosts.iter_mut().map(|host| host.reconcile(PATIENCE))).await)
    {
        assert!(matches!(ended, Ended::Converged), "{host}: {ended:?}");
    }
}

/// Every host is a voter of one and the same cluster and has nothing left to do.
pub async fn assert_one_cluster(hosts: &mut [Host]) {
    let mut ids = Vec::new();
    for host in hosts.iter_mut() {
        host.plan_that("with nothing left to do", Plan::is_empty).await;
        let view = host.observe().await.view.expect("a quorum read");
        assert_eq!(view.members.len(), host.desired.members.len(), "{view:?}");
        assert!(view.genesis.is_some(), "the genesis is recorded");
        ids.push(view.cluster);
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn three_masters_form_one_cluster_and_then_have_nothing_to_do() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        while_writing(&world, &[1, 2, 3], async {
            let started = Instant::now();
            converge(&mut hosts).await;
            println!("three empty masters to three voters: {:?}", started.elapsed());
            assert_one_cluster(&mut hosts).await;
            let summary = hosts[0].summary().await;
            println!("{}", serde_json::to_string_pretty(&summary).unwrap());
            assert_eq!(summary.members.len(), 3);
            assert!(summary.advice[0].starts_with("seal the manifest"));
        })
        .await;
    });
}

#[test]
fn five_masters_form_one_cluster() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3, 4, 5]);
        while_writing(&world, &[1, 2, 3, 4, 5], async {
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
        })
        .await;
    });
}

#[test]
fn two_of_three_empty_masters_wait_for_the_third_and_say_so() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        while_writing(&world, &[1, 2, 3], async {
            let [first, second, _third] = &mut hosts[..] else { panic!() };
            let (one, two) = futures_util::future::join(
                first.reconcile(Duration::from_secs(3)),
                second.reconcile(Duration::from_secs(3)),
            )
            .await;
            for ended in [one, two] {
                let Ended::Failed(error) = ended else { panic!("{ended:?}") };
                assert!(error.to_string().contains("waiting for m3"), "{error}");
            }
            for host in &mut hosts[..2] {
                assert!(!host.paths.etcd_data().join("member").exists());
                host.restart_quorate();
            }
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
        })
        .await;
    });
}

#[test]
fn a_prepared_master_that_was_away_starts_late_in_the_same_genesis() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        while_writing(&world, &[1, 2], async {
            let third = hosts.pop().unwrap();
            // m3 attests and prepares, and its power fails before it hears of the commitment.
            let material = observe::read_material(&third.paths).unwrap();
            let agent = Agent::listen(&third.desired, &third.paths, &material).await.unwrap();
            converge(&mut hosts).await;
            drop(agent);
            assert!(matches!(marker::read(&third.paths), Held::Marker(Marker::Prepared { .. })));
            hosts.push(third);
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
            assert!(!hosts[2].log.iter().any(|line| line.contains("learner")), "{:?}", hosts[2].log);
        })
        .await;
    });
}

#[test]
fn a_prepared_marker_does_not_bring_back_a_member_that_has_run() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            let view = hosts[0].observe().await.view.unwrap();
            let third = &mut hosts[2];
            third.wipe();
            let nonce = view.genesis.unwrap();
            let round = Round { cluster: third.desired.cluster.clone(), members: third.desired.members.clone(), nonce };
            marker::write(&third.paths, &Marker::Prepared { round }).unwrap();
            let plan = third.plan().await;
            assert!(!plan.steps.iter().any(|step| matches!(step.action, Action::Unit(_))), "{plan:?}");
        })
        .await;
    });
}

#[test]
fn fault_23_a_power_cut_of_all_masters_is_followed_by_the_same_cluster() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2, 3], async {
            let before = hosts[0].observe().await.view.unwrap();
            hosts.iter_mut().for_each(Host::crash);
            // Each is started without a look at the others: the plan is made while all of them are down.
            for host in &mut hosts {
                let plan = host.plan().await;
                assert!(plan.steps.iter().any(|step| matches!(step.action, Action::Unit(_))), "{plan:?}");
            }
            converge(&mut hosts).await;
            let after = hosts[0].observe().await.view.unwrap();
            assert_eq!((before.cluster, before.members.len()), (after.cluster, after.members.len()));
        })
        .await;
    });
}
