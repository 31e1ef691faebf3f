//! Power cuts between any two steps, and quorate killed at any moment: the next run converges, nothing is done twice.

use crate::genesis::{PATIENCE, assert_one_cluster, converge, hosts};
use crate::host::{Ended, Host};
use crate::world::{NEWEST, World, name, with_etcd};
use crate::writer::while_writing;
use futures_util::future::join;
use std::time::Duration;
use tokio::time::timeout;

/// More steps than genesis or a rejoin has; the loop ends with the first cut that comes after the last step.
const MOST_STEPS: usize = 30;

async fn converge_beside(victim: &mut Host, others: &mut [Host], cut: usize) -> usize {
    let cut_and_back = async {
        let done = victim.reconcile_until_power_cut(cut, PATIENCE).await;
        let ended = victim.reconcile(PATIENCE).await;
        assert!(matches!(ended, Ended::Converged), "cut after {cut}: {ended:?}");
        done
    };
    let (done, ()) = join(cut_and_back, converge(others)).await;
    done
}

async fn cut_in_genesis(world: &World, victim: usize) {
    for cut in 1..MOST_STEPS {
        let mut hosts = hosts(world, &[1, 2, 3]);
        let mut victim = hosts.remove(victim);
        let done = converge_beside(&mut victim, &mut hosts, cut).await;
        hosts.push(victim);
        assert_one_cluster(&mut hosts).await;
        hosts.iter_mut().for_each(Host::wipe);
        if done < cut {
            assert!(cut > 7, "genesis has at least as many steps");
            return;
        }
    }
    panic!("genesis never ended within {MOST_STEPS} steps");
}

#[test]
fn a_follower_cut_off_after_any_step_of_genesis_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_genesis(&world, 2).await });
}

#[test]
fn the_leader_cut_off_after_any_step_of_genesis_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_genesis(&world, 0).await });
}

#[test]
fn a_reinstalled_master_cut_off_after_any_step_of_its_return_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            for cut in 1..MOST_STEPS {
                let mut victim = hosts.pop().unwrap();
                victim.wipe();
                victim.log.clear();
                let done = converge_beside(&mut victim, &mut hosts, cut).await;
                let did = |what: &str| victim.log.iter().filter(|line| line.contains(what)).count();
                assert!(did("as a learner") <= 2, "{:?}", victim.log);
                hosts.push(victim);
                assert_one_cluster(&mut hosts).await;
                if done < cut {
                    return;
                }
            }
            panic!("the return never ended within {MOST_STEPS} steps");
        })
        .await;
    });
}

#[test]
fn quorate_killed_at_any_moment_of_a_replacement_is_followed_by_one_that_finishes_it() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        hosts.pop();
        crate::membership::accept(&world, &mut hosts, &[1, 2, 4], 2);
        while_writing(&world, &[1, 2], async {
            // Prime numbers of milliseconds, so that the cuts fall into all kinds of moments of the changes.
            for cut_ms in [3, 7, 13, 29, 53, 101, 211, 401, 797] {
                for host in &mut hosts {
                    let _cut = timeout(Duration::from_millis(cut_ms), host.reconcile(PATIENCE)).await;
                    host.restart_quorate();
                }
            }
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        assert!(!hosts.iter().any(|host| host.desired.me == name(3)));
    });
}
