//! First formation with real etcd.

use crate::host::{Ended, Host};
use crate::world::{NEWEST, World, with_etcd};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::time::Instant;

const PATIENCE: Duration = Duration::from_secs(40);

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
        let seen = host.observe().await;
        let view = seen.view.expect("a quorum read");
        assert_eq!(view.members.len(), host.desired.members.len(), "{view:?}");
        assert!(view.genesis.is_some(), "the genesis is recorded");
        ids.push(view.cluster);
        assert!(host.plan().await.is_empty());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
}

#[test]
fn three_masters_form_one_cluster_and_then_have_nothing_to_do() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        let started = Instant::now();
        converge(&mut hosts).await;
        println!("three empty masters to three voters: {:?}", started.elapsed());
        assert_one_cluster(&mut hosts).await;
        let summary = hosts[0].summary().await;
        println!("{}", serde_json::to_string_pretty(&summary).unwrap());
        assert_eq!(summary.members.len(), 3);
        assert!(summary.advice[0].starts_with("seal the manifest"));
    });
}
