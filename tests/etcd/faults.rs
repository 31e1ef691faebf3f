//! The faults of spec/etcd.md that need real etcd processes, by number. A fault that another file's test covers, or that
//! is decided without etcd, is named there with its test.

use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Ended, Host, PATIENCE};
use crate::membership::accept;
use crate::world::{NEWEST, World, address, name, with_etcd};
use crate::writer::{self, assert_no_write_is_acknowledged, while_writing};
use etcd_client::{Client, GetOptions};
use futures_util::future::join;
use quorate::etcd::cluster::PeerSeen;
use quorate::etcd::genesis::{Held, Marker, marker};
use quorate::etcd::observe::data_directory;
use quorate::etcd::{DataDirectory, Local};
use quorate::manifest::EtcdPhase;
use quorate::plan::Hold;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Long enough for etcd to elect and for quorate to look twice; a wait that ends in it was none.
pub const WHILE: Duration = Duration::from_secs(4);

/// The host does not get further, says why, and has not begun a data directory.
pub async fn waits_for(host: &mut Host, reason: &str) {
    let why = match host.reconcile(WHILE).await {
        Ended::Failed(error) => error.to_string(),
        Ended::Blocked(plan) => plan.blocked.iter().map(|blocked| format!("{} ", blocked.why)).collect(),
        Ended::Converged => panic!("{} converged", host.desired.me),
    };
    assert!(why.contains(reason), "{why}");
    assert!(!host.paths.etcd_data().join("member").exists());
}

async fn client(world: &World, master: u8) -> Client {
    writer::client(world, master).await
}

/// Writes until it is acknowledged: an election may be under way.
async fn write(world: &World, master: u8, key: &str, value: &str) {
    for _ in 0..60 {
        let mut client = client(world, master).await;
        let write = timeout(Duration::from_secs(1), client.put(key, value, None)).await;
        if matches!(write, Ok(Ok(_))) {
            return;
        }
    }
    panic!("m{master} acknowledges no write");
}

/// Writes, and waits until each of three masters has it: only then may two of them be lost.
async fn write_everywhere(world: &World, key: &str, value: &str) {
    write(world, 1, key, value).await;
    for master in [1, 2, 3] {
        for _ in 0..60 {
            if read_locally(world, master, key).await.as_deref() == Some(value) {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(read_locally(world, master, key).await.as_deref(), Some(value), "m{master}");
    }
}

/// Every byte of a member's log.
fn logs(host: &Host) -> Vec<u8> {
    let segments = std::fs::read_dir(host.paths.etcd_data().join("member/wal")).unwrap();
    segments.flat_map(|segment| std::fs::read(segment.unwrap().path()).unwrap()).collect()
}

/// What one member has, asked without a quorum.
async fn read_locally(world: &World, master: u8, key: &str) -> Option<String> {
    let alone = Some(GetOptions::new().with_serializable());
    let mut client = client(world, master).await;
    let found = timeout(Duration::from_secs(5), client.get(key, alone)).await.unwrap().unwrap();
    found.kvs().first().map(|pair| pair.value_str().unwrap().to_owned())
}

async fn read(client: &mut Client, key: &str) -> Option<String> {
    let found = timeout(Duration::from_secs(5), client.get(key, None)).await.unwrap().unwrap();
    found.kvs().first().map(|pair| pair.value_str().unwrap().to_owned())
}

#[test]
fn fault_01_a_wiped_disk_beside_dead_peers_waits_and_never_boots_new() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2, 3], async {
            hosts.iter_mut().for_each(Host::crash);
            hosts[2].wipe();
            waits_for(&mut hosts[2], "waiting for m1 (nothing listens on 127.0.1.1:2382)").await;
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
        })
        .await;
    });
}

#[test]
fn fault_03_two_wiped_masters_form_no_second_cluster_while_the_survivor_is_away() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], sleep(WHILE / 2)).await;
        write_everywhere(&world, "x", "acknowledged").await;
        let cluster = hosts[0].observe().await.view.unwrap().cluster;
        hosts.iter_mut().for_each(Host::crash);
        hosts[0].wipe();
        hosts[1].wipe();
        let [first, second, survivor] = &mut hosts[..] else { panic!() };
        // E3: etcd alone forms an empty cluster of the same id here.
        join(waits_for(first, "m3"), waits_for(second, "m3")).await;
        // The survivor starts its data at once, has no quorum, and keeps the others from forming by its data.
        let ended = survivor.reconcile(WHILE).await;
        assert!(matches!(ended, Ended::Blocked(_)), "{ended:?}");
        join(waits_for(first, "has no quorum"), waits_for(second, "has no quorum")).await;
        assert_no_write_is_acknowledged(&world, &[1, 2, 3], Duration::from_secs(2)).await;
        // Without a leader it opens no client port: its list is asked for at the peer port, and the write at its log.
        let shown = first.observe().await.peers.remove(&name(3));
        assert!(matches!(shown, Some(PeerSeen::Members { cluster: shown, .. }) if shown == cluster), "{shown:?}");
        assert!(logs(survivor).windows(12).any(|bytes| bytes == b"acknowledged"), "the write is still there");
        assert_eq!(data_directory(&survivor.paths), DataDirectory::HasWal);
    });
}

#[test]
fn fault_04_one_wiped_and_one_stale_master_wait_for_the_one_that_has_the_write() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2, 3], async {
            hosts[2].crash();
            write(&world, 1, "x", "acknowledged without m3").await;
            hosts.iter_mut().for_each(Host::crash);
            hosts[0].wipe();
            // E2c: m1 wiped and the stale m3 would be a quorum in which the write never was.
            {
                let [first, _, third] = &mut hosts[..] else { panic!() };
                let (_, third) = join(waits_for(first, "has no quorum"), third.reconcile(WHILE)).await;
                assert!(!matches!(third, Ended::Converged), "{third:?}");
            }
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
            for master in [1, 2, 3] {
                let value = read(&mut client(&world, master).await, "x").await;
                assert_eq!(value.as_deref(), Some("acknowledged without m3"), "m{master}");
            }
        })
        .await;
    });
}

#[test]
fn fault_07_an_addition_whose_answer_was_lost_is_adopted() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2, 3], async {
            accept(&world, &mut hosts, &[1, 2, 3, 4, 5], 2);
            // Someone, perhaps an earlier run of m4, has added it; m4 knows nothing of it.
            writer::add_learner(&world, 1, "https://127.0.1.4:2380").await;
            hosts.truncate(4);
            let ended = hosts[3].reconcile(PATIENCE).await;
            assert!(matches!(ended, Ended::Converged), "{ended:?}");
            assert!(!hosts[3].log.iter().any(|line| line.starts_with("add ")), "{:?}", hosts[3].log);
        })
        .await;
    });
}

#[test]
fn fault_08_an_orphan_learner_is_removed_and_blocks_nobody() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            writer::add_learner(&world, 1, "https://127.0.1.99:2380").await;
            hosts[2].wipe();
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
        })
        .await;
    });
}

#[test]
fn fault_14_data_of_another_cluster_is_refused_and_kept() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            let third = &mut hosts[2];
            third.crash();
            third.desired.phase = EtcdPhase::Formed { cluster_id: 0xbad };
            let Ended::Blocked(plan) = third.reconcile(WHILE).await else { panic!() };
            assert_eq!(plan.blocked[0].hold, Hold::Refused);
            assert_eq!(data_directory(&third.paths), DataDirectory::HasWal);
        })
        .await;
    });
}

#[test]
fn fault_15_a_member_removed_by_hand_puts_its_data_aside_and_rejoins() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            let view = hosts[0].observe().await.view.unwrap();
            let id = view.members.iter().find(|listed| listed.name == "m3").unwrap().id;
            sleep(Duration::from_secs(5)).await;
            writer::remove(&world, 1, id).await;
            sleep(Duration::from_secs(2)).await;
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
            let archive = hosts[2].paths.etcd_data().join("archive").join(format!("{:x}-{id:x}", view.cluster));
            assert!(archive.join("member/wal").exists(), "archived, not deleted");
        })
        .await;
    });
}

#[test]
fn fault_17_a_cluster_of_one_is_never_grown() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1]);
        converge(&mut hosts).await;
        while_writing(&world, &[1], async {
            assert_one_cluster(&mut hosts).await;
            accept(&world, &mut hosts, &[1, 2, 3], 2);
            waits_for(&mut hosts[1], "with two voters either loss stops the cluster").await;
        })
        .await;
    });
}

#[test]
fn fault_21_a_certificate_of_another_ca_is_unknown_and_not_the_absence_of_a_cluster() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        World::new(world.etcd.clone()).issue(&hosts[2].paths.node_pki(), "m3", address(3));
        let patience = Duration::from_secs(3);
        let ended = futures_util::future::join_all(hosts.iter_mut().map(|host| host.reconcile(patience))).await;
        for (host, ended) in hosts.iter().zip(ended) {
            let Ended::Failed(error) = ended else { panic!("{}: {ended:?}", host.desired.me) };
            assert!(error.to_string().contains("no TLS with") || error.to_string().contains("broke off"), "{error}");
            assert_eq!(marker::read(&host.paths), Held::Nothing);
        }
    });
}

#[test]
fn fault_22_a_master_at_a_new_address_is_a_new_member() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            hosts[2].kill_etcd();
            world.issue(&hosts[2].paths.node_pki(), "m3", address(33));
            for host in &mut hosts {
                host.accept(&[1, 2, 3], 2);
                host.desired.members.insert(name(3), address(33));
            }
            hosts[2].desired.address = address(33);
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
        })
        .await;
    });
}

#[test]
fn fault_25_a_listed_master_that_is_down_is_not_removed() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            hosts[2].crash();
            for host in &mut hosts[..2] {
                assert!(matches!(host.reconcile(WHILE).await, Ended::Converged));
            }
            let view = hosts[0].observe().await.view.unwrap();
            assert!(view.members.iter().any(|listed| listed.name == name(3).as_str()));
        })
        .await;
    });
}

#[test]
fn fault_27_a_survivor_without_quorum_is_evidence_and_no_ground_for_joining() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], sleep(WHILE / 2)).await;
        write_everywhere(&world, "x", "acknowledged").await;
        let cluster = hosts[0].observe().await.view.unwrap().cluster;
        // E3c: m3 keeps its data and runs, m1 and m2 are wiped and ask each other first.
        hosts[0].wipe();
        hosts[1].wipe();
        let [first, second, survivor] = &mut hosts[..] else { panic!() };
        join(waits_for(first, "has no quorum"), waits_for(second, "has no quorum")).await;
        assert!(matches!(marker::read(&first.paths), Held::Nothing));
        assert_no_write_is_acknowledged(&world, &[1, 2, 3], Duration::from_secs(2)).await;
        assert_eq!(read_locally(&world, 3, "x").await.as_deref(), Some("acknowledged"));
        assert!(matches!(survivor.observe().await.local, Local::Answers(status) if status.cluster == cluster));
    });
}

#[test]
fn an_etcd_that_cannot_begin_is_started_again_and_does_not_count_as_lost() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        while_writing(&world, &[1, 2, 3], async {
            let blockers: Vec<_> = [1, 2, 3].map(|me| std::net::TcpListener::bind((address(me), 2380)).unwrap()).into();
            let patience = Duration::from_secs(5);
            futures_util::future::join_all(hosts.iter_mut().map(|host| host.reconcile(patience))).await;
            for host in &hosts {
                assert!(matches!(marker::read(&host.paths), Held::Marker(Marker::Executed { .. })));
            }
            drop(blockers);
            converge(&mut hosts).await;
            assert_one_cluster(&mut hosts).await;
        })
        .await;
    });
}
