//! Data directories that went back in time (fault 5).

use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Ended, Host, PATIENCE};
use crate::world::{NEWEST, with_etcd};
use crate::writer::{client, while_writing};
use quorate::etcd::highwater::mark;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// Long enough for quorate to look several times.
const WHILE: Duration = Duration::from_secs(6);

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// An older state of the data of `host`, taken while it is off, then overtaken by writes and a noted mark.
async fn overtaken(hosts: &mut [Host], at: usize, world: &crate::world::World) -> PathBuf {
    hosts[at].crash();
    let old = world.place.path().join("older-member");
    copy(&hosts[at].paths.etcd_data().join("member"), &old);
    converge(hosts).await;
    let mut client = client(world, 1).await;
    for number in 0..50 {
        client.put(format!("later/{number}"), "acknowledged", None).await.unwrap();
    }
    hosts[at].publish().await;
    let noted = mark::look(&hosts[at].paths).mark.unwrap();
    hosts[at].crash();
    let log = mark::look(&hosts[at].paths).log.unwrap();
    assert!(log.last >= noted.applied && log.term >= noted.term, "what is noted is on disk: {noted:?} {log:?}");
    old
}

fn put_back(host: &Host, old: &Path) {
    let member = host.paths.etcd_data().join("member");
    std::fs::remove_dir_all(&member).unwrap();
    copy(old, &member);
}

#[test]
fn fault_05_a_member_on_an_older_disk_is_not_started_and_rejoins_beside_a_quorum() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let old = overtaken(&mut hosts, 2, &world).await;
        put_back(&hosts[2], &old);
        while_writing(&world, &[1, 2], async {
            hosts[2].log.clear();
            let ended = hosts[2].reconcile(PATIENCE).await;
            assert!(matches!(ended, Ended::Converged), "{ended:?}");
        })
        .await;
        let first = |what: &str| hosts[2].log.iter().position(|line| line.contains(what));
        assert!(first("aside") < first("start quorate-etcd") && first("aside").is_some(), "{:?}", hosts[2].log);
        assert_one_cluster(&mut hosts).await;
        assert!(hosts[2].paths.etcd_data().join("archive").exists(), "put aside, not deleted");
    });
}

#[test]
fn fault_05_without_a_quorum_beside_it_an_older_disk_completes_none() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let old = overtaken(&mut hosts, 2, &world).await;
        // m1 and m3 make the next quorum while m2 is away; m1 then dies. m3 is the only one up that holds the write.
        hosts[1].crash();
        converge(&mut hosts[2..]).await;
        client(&world, 1).await.put("x", "acknowledged by m1 and m3", None).await.unwrap();
        hosts[2].publish().await;
        hosts.iter_mut().for_each(Host::crash);
        put_back(&hosts[2], &old);
        let (_, behind) = hosts.split_at_mut(1);
        let [second, third] = behind else { panic!() };
        // The old m3 and m2 would be a majority in which the write never was.
        let (second, third) = futures_util::future::join(second.reconcile(WHILE), third.reconcile(WHILE)).await;
        assert!(!matches!(second, Ended::Converged), "{second:?}");
        let Ended::Blocked(plan) = third else { panic!("{third:?}") };
        assert!(plan.steps.is_empty());
        assert!(plan.blocked[0].why.contains("went back in time"), "{plan:?}");
        // With m1 there is a majority that has it.
        converge(&mut hosts[..2]).await;
        converge(&mut hosts).await;
        assert_one_cluster(&mut hosts).await;
        let found = client(&world, 3).await.get("x", None).await.unwrap();
        assert_eq!(found.kvs()[0].value_str().unwrap(), "acknowledged by m1 and m3");
    });
}

#[test]
fn fault_05_a_whole_disk_that_went_back_ends_as_a_member_that_has_everything() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        // A follower: its leader remembers how far it was, and a heartbeat then tells it more than it has.
        let view = hosts[0].observe().await.view.unwrap();
        let at = if view.member(view.leader).unwrap().name == "m3" { 1 } else { 2 };
        let host = &mut hosts[at];
        host.crash();
        let (disk, old) =
            (host.paths.state().parent().unwrap().parent().unwrap().to_owned(), world.place.path().join("older"));
        copy(&disk, &old);
        converge(&mut hosts).await;
        while_writing(&world, &[1], async {
            for _ in 0..100 {
                client(&world, 1).await.put("x", "acknowledged", None).await.unwrap();
            }
            let host = &mut hosts[at];
            host.publish().await;
            host.crash();
            std::fs::remove_dir_all(&disk).unwrap();
            copy(&old, &disk);
            host.log.clear();
            // It starts at once, as any existing data. Whether etcd then notices is up to what its leader remembers.
            let ended = host.reconcile(PATIENCE).await;
            assert!(matches!(ended, Ended::Converged), "{ended:?}");
            println!("put aside: {}", host.log.iter().any(|line| line.contains("aside")));
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}
