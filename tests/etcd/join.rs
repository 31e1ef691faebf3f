//! Masters that come to a cluster that exists.

use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Ended, Host};
use crate::world::{NEWEST, desired, with_etcd};
use quorate::etcd::cluster::Role;
use std::time::Duration;

#[test]
fn an_empty_master_beside_a_cluster_joins_as_a_learner_and_is_promoted() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2]);
        converge(&mut hosts).await;
        for (me, host) in (1..).zip(hosts.iter_mut()) {
            host.desired = desired(me, &[1, 2, 3], 2);
        }
        let mut third = Host::new(&world, 3, &[1, 2, 3]);
        third.desired = desired(3, &[1, 2, 3], 2);
        let ended = third.reconcile(Duration::from_secs(60)).await;
        assert!(matches!(ended, Ended::Converged), "{ended:?}");
        let joined = third.log.iter().filter(|line| line.contains("learner") || line.contains("a voter"));
        assert_eq!(joined.count(), 2, "added once and promoted once: {:?}", third.log);
        hosts.push(third);
        assert_one_cluster(&mut hosts).await;
        let view = hosts[0].observe().await.view.unwrap();
        assert!(view.members.iter().all(|member| member.role == Role::Voter));
    });
}
