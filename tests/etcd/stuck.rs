//! A learner that stands still (fault 8, M11): its own master gives it up; others do when its host is gone, and only then.
//! Minutes are seconds here ([`Host::hurry`]).

use crate::faults::WHILE;
use crate::genesis::{converge, hosts};
use crate::host::{Ended, Host, PATIENCE};
use crate::membership::accept;
use crate::world::{NEWEST, World, with_etcd};
use crate::writer::while_writing;
use nix::sys::signal::Signal;
use quorate::etcd::cluster::{Role, View};

/// Five minutes are three seconds, fifteen are nine.
const HURRY: u32 = 100;

/// Three voters and m4, which runs as a learner whose etcd is frozen.
async fn with_stuck_learner(world: &World) -> Vec<Host> {
    let mut hosts = hosts(world, &[1, 2, 3]);
    converge(&mut hosts).await;
    accept(world, &mut hosts, &[1, 2, 3, 4, 5], 2);
    hosts.truncate(4);
    hosts[3].reconcile_to_learner(PATIENCE).await;
    hosts[3].signal_etcd(Signal::SIGSTOP);
    hosts.iter_mut().for_each(|host| host.hurry = HURRY);
    hosts
}

async fn view(host: &mut Host) -> View {
    host.observe().await.view.expect("a quorum read")
}

fn learner(view: &View) -> Option<u64> {
    view.members.iter().find(|listed| listed.role == Role::Learner).map(|listed| listed.id)
}

#[test]
fn fault_08_a_learner_that_stands_still_is_given_up_by_its_own_master_which_joins_anew() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = with_stuck_learner(&world).await;
        while_writing(&world, &[1, 2, 3], async {
            let stuck = learner(&view(&mut hosts[0]).await).expect("a learner");
            let ended = hosts[3].reconcile(PATIENCE).await;
            assert!(matches!(ended, Ended::Converged), "{ended:?}");
            let after = view(&mut hosts[0]).await;
            assert_eq!((after.members.len(), learner(&after)), (4, None), "{after:?}");
            assert!(after.member(stuck).is_none(), "a new member");
            let archive = std::fs::read_dir(hosts[3].paths.etcd_data().join("archive")).unwrap();
            let named = archive.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
            assert!(named.into_iter().any(|name| name.ends_with(&format!("-{stuck:x}"))), "archived, not deleted");
        })
        .await;
    });
}

#[test]
fn fault_08_a_learner_that_stands_still_is_evicted_when_its_host_does_not_answer() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = with_stuck_learner(&world).await;
        while_writing(&world, &[1, 2, 3], async {
            let until = tokio::time::Instant::now() + PATIENCE;
            while learner(&view(&mut hosts[0]).await).is_some() {
                assert!(tokio::time::Instant::now() < until, "it is still there");
                converge(&mut hosts[..3]).await;
            }
            let evictions = |host: &Host| host.log.iter().filter(|line| line.contains("stuck learner")).count();
            assert_eq!(hosts.iter().map(evictions).collect::<Vec<_>>(), [1, 0, 0, 0], "the turn is m1's");
            assert_eq!(view(&mut hosts[0]).await.members.len(), 3);
        })
        .await;
    });
}

#[test]
fn fault_08_a_learner_whose_host_answers_is_left_to_its_own_master_and_shown() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = with_stuck_learner(&world).await;
        while_writing(&world, &[1, 2, 3], async {
            // The host is up and refuses the connection: somebody is there who can act.
            hosts[3].kill_etcd();
            let until = tokio::time::Instant::now() + PATIENCE;
            let shown = loop {
                assert!(tokio::time::Instant::now() < until, "it is never shown");
                let plan = hosts[0].plan().await;
                assert!(plan.steps.is_empty(), "{plan:?}");
                if let Some(blocked) = plan.blocked.first() {
                    break blocked.clone();
                }
                tokio::time::sleep(WHILE / 8).await;
            };
            assert!(shown.why.contains("no progress") && shown.unblock.contains("m4 joining anew"), "{shown:?}");
            assert!(learner(&view(&mut hosts[0]).await).is_some());
        })
        .await;
    });
}
