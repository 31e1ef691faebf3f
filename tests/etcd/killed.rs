//! Power cuts, SIGKILL to etcd and SIGKILL to quorate after any step, and quorate killed at any moment: the next run converges, nothing is done twice.

use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Cut, Ended, Host, PATIENCE};
use crate::world::{NEWEST, World, name, with_etcd};
use crate::writer::while_writing;
use futures_util::future::join;
use std::time::Duration;
use tokio::time::timeout;

/// More steps than genesis or a rejoin has; the loop ends with the first cut that comes after the last step.
const MOST_STEPS: usize = 30;

async fn converge_beside(victim: &mut Host, others: &mut [Host], cut: Cut, steps: usize) -> usize {
    let cut_and_back = async {
        let done = victim.reconcile_until(cut, steps, PATIENCE).await;
        let ended = victim.reconcile(PATIENCE).await;
        assert!(matches!(ended, Ended::Converged), "{cut:?} after {steps}: {ended:?}");
        done
    };
    let (done, ()) = join(cut_and_back, converge(others)).await;
    done
}

async fn cut_in_genesis(world: &World, victim: usize, cut: Cut) {
    for steps in 1..MOST_STEPS {
        let mut hosts = hosts(world, &[1, 2, 3]);
        let mut victim = hosts.remove(victim);
        let done = while_writing(world, &[1, 2, 3], async {
            let done = converge_beside(&mut victim, &mut hosts, cut, steps).await;
            hosts.push(victim);
            assert_one_cluster(&mut hosts).await;
            done
        })
        .await;
        hosts.iter_mut().for_each(Host::wipe);
        if done < steps {
            assert!(steps > 7, "genesis has at least as many steps");
            return;
        }
    }
    panic!("genesis never ended within {MOST_STEPS} steps");
}

#[test]
fn a_follower_cut_off_after_any_step_of_genesis_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_genesis(&world, 2, Cut::Power).await });
}

#[test]
fn the_leader_cut_off_after_any_step_of_genesis_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_genesis(&world, 0, Cut::Power).await });
}

#[test]
fn a_master_whose_etcd_is_killed_after_any_step_of_genesis_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_genesis(&world, 2, Cut::Etcd).await });
}

#[test]
fn a_master_whose_quorate_is_killed_after_any_step_of_genesis_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_genesis(&world, 0, Cut::Quorate).await });
}

async fn cut_in_return(world: &World, cut: Cut) {
    let mut hosts = hosts(world, &[1, 2, 3]);
    converge(&mut hosts).await;
    while_writing(world, &[1, 2], async {
        for steps in 1..MOST_STEPS {
            let mut victim = hosts.pop().unwrap();
            victim.wipe();
            victim.log.clear();
            let done = converge_beside(&mut victim, &mut hosts, cut, steps).await;
            let did = |what: &str| victim.log.iter().filter(|line| line.contains(what)).count();
            assert!(did("as a learner") <= 2, "{:?}", victim.log);
            hosts.push(victim);
            assert_one_cluster(&mut hosts).await;
            if done < steps {
                return;
            }
        }
        panic!("the return never ended within {MOST_STEPS} steps");
    })
    .await;
}

#[test]
fn a_reinstalled_master_cut_off_after_any_step_of_its_return_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_return(&world, Cut::Power).await });
}

#[test]
fn a_reinstalled_master_whose_etcd_is_killed_after_any_step_of_its_return_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_return(&world, Cut::Etcd).await });
}

#[test]
fn a_reinstalled_master_whose_quorate_is_killed_after_any_step_of_its_return_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_return(&world, Cut::Quorate).await });
}

/// m3 and m4 take each other's place in turns. `victim` says which of the masters then in the manifest is cut: the first,
/// who removes the dead one, or the last, who joins.
async fn cut_in_replacement(world: &World, victim: usize, cut: Cut) {
    let mut hosts = hosts(world, &[1, 2, 3]);
    converge(&mut hosts).await;
    while_writing(world, &[1, 2], async {
        for steps in 1..MOST_STEPS {
            let joining = if steps % 2 == 1 { 4 } else { 3 };
            let mut replaced = hosts.pop().unwrap();
            replaced.wipe();
            crate::membership::accept(world, &mut hosts, &[1, 2, joining], 1 + u64::try_from(steps).unwrap());
            let mut victim_host = hosts.remove(victim);
            victim_host.log.clear();
            let done = converge_beside(&mut victim_host, &mut hosts, cut, steps).await;
            hosts.insert(victim, victim_host);
            assert_one_cluster(&mut hosts).await;
            if done < steps {
                return;
            }
        }
        panic!("the replacement never ended within {MOST_STEPS} steps");
    })
    .await;
}

#[test]
fn the_remover_of_a_replaced_master_cut_off_after_any_step_finishes_it() {
    with_etcd(NEWEST, |world| async move {
        cut_in_replacement(&world, 0, Cut::Power).await;
    });
}

#[test]
fn the_remover_of_a_replaced_master_whose_etcd_is_killed_after_any_step_finishes_it() {
    with_etcd(NEWEST, |world| async move { cut_in_replacement(&world, 0, Cut::Etcd).await });
}

#[test]
fn the_remover_of_a_replaced_master_whose_quorate_is_killed_after_any_step_finishes_it() {
    with_etcd(NEWEST, |world| async move { cut_in_replacement(&world, 0, Cut::Quorate).await });
}

#[test]
fn the_successor_of_a_replaced_master_cut_off_after_any_step_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_replacement(&world, 2, Cut::Power).await });
}

#[test]
fn the_successor_of_a_replaced_master_whose_etcd_is_killed_after_any_step_is_a_member_in_the_end() {
    with_etcd(NEWEST, |world| async move { cut_in_replacement(&world, 2, Cut::Etcd).await });
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
