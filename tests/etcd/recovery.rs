//! A quorum lost for good, recovered by a directive: with everything that must come along, once, and cut off anywhere.

use crate::genesis::{converge, hosts};
use crate::host::{Cut, Ended, Host, PATIENCE};
use crate::world::{NEWEST, World, address, name, with_etcd};
use crate::writer;
use etcd_client::GetOptions;
use quorate::etcd::client::Endpoint;
use quorate::etcd::cluster::Role;
use quorate::etcd::genesis::{Held, Marker, marker};
use quorate::etcd::{EtcdError, observe, snapshot};
use quorate::ident::{Digest, Generation};
use quorate::manifest::{EtcdPhase, Recovery};
use quorate::plan::Hold;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Longer than any wait that would end by itself, the ten seconds of the affirmation included.
const WHILE: Duration = Duration::from_secs(16);
/// More steps than a recovery has.
const MOST_STEPS: usize = 30;
/// Writes before the loss.
const WRITES: u32 = 300;

/// The directive reaches a host in a newer generation.
fn direct(host: &mut Host, from: u8, lost: u64, expires_at: &str) {
    let order = Recovery { lost, from: name(from), snapshot: None, expires_at: expires_at.parse().unwrap() };
    take(host, EtcdPhase::Recovery(order));
}

fn take(host: &mut Host, phase: EtcdPhase) {
    host.desired.generation = Generation(host.desired.generation.0 + 1);
    host.desired.digest = Digest::of(format!("{} {phase:?}", host.desired.generation).as_bytes());
    host.desired.phase = phase;
}

/// Whenever the test runs.
const NEVER_EXPIRES: &str = "9999-01-01T00:00:00Z";

/// Three masters with acknowledged writes that every member knows to be committed, and their etcd cluster.
async fn formed(world: &World) -> (Vec<Host>, u64) {
    let mut hosts = hosts(world, &[1, 2, 3]);
    converge(&mut hosts).await;
    let lost = hosts[0].observe().await.view.unwrap().cluster;
    let mut client = writer::client(world, 1).await;
    for number in 0..WRITES {
        client.put(format!("written/{number:05}"), number.to_string(), None).await.unwrap();
    }
    // A few heartbeats: what a member has not heard to be committed is not its own to restore.
    tokio::time::sleep(Duration::from_secs(1)).await;
    (hosts, lost)
}

/// What one master reads with quorum, by key; the revision it is at.
async fn content(world: &World, master: u8) -> (BTreeMap<String, String>, i64) {
    let options = GetOptions::new().with_prefix().with_limit(0);
    let found = writer::client(world, master).await.get("written/", Some(options)).await.unwrap();
    let pair = |pair: &etcd_client::KeyValue| (pair.key_str().unwrap().into(), pair.value_str().unwrap().into());
    (found.kvs().iter().map(pair).collect(), found.header().unwrap().revision())
}

async fn assert_recovered(world: &World, hosts: &mut [Host], lost: u64) -> u64 {
    let mut clusters = Vec::new();
    for host in hosts.iter_mut() {
        let view = host.observe().await.view.expect("a quorum read");
        assert_eq!(view.members.len(), host.desired.members.len(), "{view:?}");
        assert!(view.members.iter().all(|member| member.role == Role::Voter), "{view:?}");
        assert_eq!(view.recovered.unwrap().given_up.last(), Some(&lost));
        assert_eq!(view.genesis, None, "nothing of the first formation may start here");
        let plan = host.plan().await;
        assert!(plan.is_empty(), "{plan:?}");
        let (written, revision) = content(world, host.desired.me.as_str()[1..].parse().unwrap()).await;
        assert_eq!(written.len(), WRITES as usize, "{} lost writes", host.desired.me);
        assert!(written.iter().all(|(key, value)| *key == format!("written/{:05}", value.parse::<u32>().unwrap())));
        assert!(revision > 1_000_000_000, "no revision is seen twice: {revision}");
        clusters.push(view.cluster);
    }
    clusters.dedup();
    assert_eq!(clusters.len(), 1);
    assert_ne!(clusters[0], lost);
    clusters[0]
}

#[test]
fn fault_03_two_of_three_masters_destroyed_are_recovered_by_directive_and_only_once() {
    with_etcd(NEWEST, |world| async move {
        let (mut hosts, lost) = formed(&world).await;
        hosts.iter_mut().for_each(Host::crash);
        hosts[0].wipe();
        hosts[1].wipe();
        hosts.iter_mut().for_each(|host| direct(host, 3, lost, NEVER_EXPIRES));
        converge(&mut hosts).await;
        let new = assert_recovered(&world, &mut hosts, lost).await;
        let kept = hosts[2].paths.etcd_data().join("archive");
        assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 1, "the old data is in the archive");
        let advice = hosts[0].summary().await.advice.join("; ");
        assert!(advice.contains(&format!("clusterId: \"{new:016x}\", follows: \"{lost:016x}\"")), "{advice}");

        // The same order in a later generation, and a reboot of all: nothing is done twice.
        hosts.iter_mut().for_each(|host| host.log.clear());
        hosts.iter_mut().for_each(|host| direct(host, 3, lost, NEVER_EXPIRES));
        hosts.iter_mut().for_each(Host::crash);
        converge(&mut hosts).await;
        assert_eq!(assert_recovered(&world, &mut hosts, lost).await, new);
        assert!(!hosts.iter().flat_map(|host| &host.log).any(|line| line.contains("restore")));

        // The master that carried the data over is wiped while nobody else answers: it has nothing to recover from.
        hosts.iter_mut().for_each(Host::crash);
        hosts[2].wipe();
        let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
        assert!(plan.steps.is_empty());
        assert!(plan.blocked[0].why.contains("has no data"), "{plan:?}");
        converge(&mut hosts).await;
        assert_eq!(assert_recovered(&world, &mut hosts, lost).await, new);

        hosts.iter_mut().for_each(|host| take(host, EtcdPhase::Formed { cluster_id: new }));
        converge(&mut hosts).await;
        assert_eq!(assert_recovered(&world, &mut hosts, lost).await, new);
    });
}

#[test]
fn fault_24_a_master_that_comes_back_with_the_old_data_never_mixes_with_the_recovered_cluster() {
    with_etcd(NEWEST, |world| async move {
        let (mut hosts, lost) = formed(&world).await;
        hosts.iter_mut().for_each(Host::crash);
        hosts[1].wipe();
        let mut away = hosts.remove(0);
        hosts.iter_mut().for_each(|host| direct(host, 3, lost, NEVER_EXPIRES));
        converge(&mut hosts).await;
        let new = hosts[1].observe().await.view.unwrap();
        assert_ne!(new.cluster, lost);
        assert_eq!(new.members.len(), 2);

        // With the old manifest it starts what it has, and stands alone.
        let ended = away.reconcile(WHILE).await;
        assert!(matches!(ended, Ended::Blocked(_)), "{ended:?}");
        let after = hosts[1].observe().await.view.unwrap();
        assert_eq!((after.cluster, after.members), (new.cluster, new.members), "nothing came of it");

        // The directive is gone from the newest manifest; the new cluster remembers whom it follows.
        hosts.insert(0, away);
        hosts.iter_mut().for_each(|host| take(host, EtcdPhase::Formed { cluster_id: new.cluster }));
        converge(&mut hosts).await;
        assert_recovered(&world, &mut hosts, lost).await;
        let archive = hosts[0].paths.etcd_data().join("archive");
        assert_eq!(std::fs::read_dir(archive).unwrap().count(), 1, "its data was put aside");

        // Somebody puts the old data back by hand, under the marker of the new membership.
        let third = &mut hosts[2];
        third.crash();
        let data = third.paths.etcd_data();
        let old = std::fs::read_dir(data.join("archive")).unwrap().next().unwrap().unwrap().path();
        std::fs::rename(data.join("member"), third.paths.state().join("member-of-new")).unwrap();
        std::fs::rename(old.join("member"), data.join("member")).unwrap();
        let Ended::Blocked(plan) = third.reconcile(WHILE).await else { panic!() };
        assert_eq!(plan.blocked[0].hold, Hold::Refused);
        assert!(plan.blocked[0].why.contains(&format!("of etcd cluster {lost:x}")), "{plan:?}");
        assert!(!hosts[0].observe().await.view.unwrap().members.is_empty());
        assert!(data.join("member").exists(), "refused and kept");
    });
}

#[test]
fn a_directive_is_refused_when_it_expired_or_the_cluster_lives() {
    with_etcd(NEWEST, |world| async move {
        let (mut hosts, lost) = formed(&world).await;
        direct(&mut hosts[2], 3, lost, NEVER_EXPIRES);
        let why = refusal(&mut hosts[2]).await;
        assert!(why.contains("it is not lost"), "{why}");
        hosts.iter_mut().for_each(Host::crash);
        hosts[0].wipe();
        hosts[1].wipe();
        direct(&mut hosts[2], 3, lost, "2026-01-01T00:00:00Z");
        let why = refusal(&mut hosts[2]).await;
        assert!(why.contains("the directive ended at"), "{why}");
        direct(&mut hosts[2], 3, lost ^ 1, NEVER_EXPIRES);
        let ended = hosts[2].reconcile(WHILE).await;
        assert!(matches!(ended, Ended::Blocked(_)), "another cluster's directive: {ended:?}");
        assert!(matches!(marker::read(&hosts[2].paths), Held::Marker(Marker::Formed { etcd, .. }) if etcd == lost));
        assert!(
            !hosts[2].log.iter().any(|line| line.contains("aside") || line.contains("affirm")),
            "{:?}",
            hosts[2].log
        );
    });
}

#[test]
fn a_snapshot_that_the_directive_names_by_its_digest_replaces_data_that_nobody_has() {
    with_etcd(NEWEST, |world| async move {
        let (mut hosts, lost) = formed(&world).await;
        let kept = snapshot::directory(&hosts[2].paths.markers());
        let view = hosts[2].observe().await.view.unwrap();
        let material = observe::read_material(&hosts[2].paths).unwrap();
        let endpoint = Endpoint::open(&name(3), address(3), &material).await.unwrap();
        let taken = snapshot::take(&endpoint, &hosts[2].paths.markers(), &view).await.unwrap();
        let bytes = std::fs::read(&taken).unwrap();
        hosts.iter_mut().for_each(Host::wipe);
        let order = |digest| Recovery {
            lost,
            from: name(3),
            snapshot: Some(digest),
            expires_at: NEVER_EXPIRES.parse().unwrap(),
        };
        std::fs::create_dir_all(&kept).unwrap();
        std::fs::write(kept.join("from-the-safe.db"), &bytes).unwrap();
        take(&mut hosts[2], EtcdPhase::Recovery(order(Digest::of(b"another"))));
        let ended = hosts[2].reconcile(WHILE).await;
        assert!(matches!(&ended, Ended::Failed(error) if error.to_string().contains("has the SHA-256")), "{ended:?}");
        assert_eq!(marker::read(&hosts[2].paths), Held::Nothing);
        hosts.iter_mut().for_each(|host| take(host, EtcdPhase::Recovery(order(Digest::of(&bytes)))));
        // All three have the same generation from here on.
        converge(&mut hosts).await;
        assert_recovered(&world, &mut hosts, lost).await;
    });
}

async fn refusal(host: &mut Host) -> String {
    let Ended::Blocked(plan) = host.reconcile(WHILE).await else { panic!("{}", host.desired.me) };
    plan.blocked.into_iter().filter(|blocked| blocked.hold == Hold::Refused).map(|blocked| blocked.why).collect()
}

#[test]
fn a_quorum_that_comes_back_while_the_loss_is_affirmed_ends_the_recovery() {
    with_etcd(NEWEST, |world| async move {
        let (mut hosts, lost) = formed(&world).await;
        hosts.iter_mut().for_each(Host::crash);
        direct(&mut hosts[2], 3, lost, NEVER_EXPIRES);
        let [first, second, third] = &mut hosts[..] else { panic!() };
        let back = async {
            // The start job of m3 has three seconds, and the affirmation after it ten.
            tokio::time::sleep(Duration::from_secs(7)).await;
            futures_util::future::join(first.reconcile(PATIENCE), second.reconcile(PATIENCE)).await
        };
        let (ended, _) = futures_util::future::join(third.reconcile(PATIENCE), back).await;
        println!("{ended:?}");
        assert!(matches!(ended, Ended::Blocked(_) | Ended::Failed(EtcdError::Refused { .. })));
        assert!(third.log.iter().any(|line| line.starts_with("affirm")), "{:?}", third.log);
        assert!(matches!(marker::read(&third.paths), Held::Marker(Marker::Formed { etcd, .. }) if etcd == lost));
        take(third, EtcdPhase::Formed { cluster_id: lost });
        converge(&mut hosts).await;
    });
}

#[test]
fn a_recovery_cut_off_after_any_step_is_finished_by_the_next_run() {
    with_etcd(NEWEST, |world| async move {
        let (mut hosts, lost) = formed(&world).await;
        hosts.iter_mut().for_each(Host::crash);
        let mut host = hosts.remove(2);
        hosts.iter_mut().for_each(Host::wipe);
        direct(&mut host, 3, lost, NEVER_EXPIRES);
        let (disk, kept) = (world.place.path().join("m3/var"), world.place.path().join("m3-before"));
        copy(&disk, &kept);
        for cut in 1..MOST_STEPS {
            std::fs::remove_dir_all(&disk).unwrap();
            copy(&kept, &disk);
            host.log.clear();
            let done = host.reconcile_until(Cut::Power, cut, PATIENCE).await;
            if !matches!(marker::read(&host.paths), Held::Marker(Marker::Formed { etcd, .. }) if etcd != lost) {
                // What a run leaves that was killed in the middle of restoring.
                let left = host.paths.etcd_data().join("restoring-0123-7");
                std::fs::create_dir_all(left.join("member/snap")).unwrap();
                std::fs::write(left.join("member/snap/db"), "half").unwrap();
            }
            let ended = host.reconcile(PATIENCE).await;
            assert!(matches!(ended, Ended::Converged), "cut after {cut}: {ended:?}");
            let view = host.observe().await.view.unwrap();
            assert_ne!(view.cluster, lost);
            assert_eq!(view.recovered.unwrap().given_up, [lost]);
            assert_eq!(content(&world, 3).await.0.len(), WRITES as usize, "cut after {cut}");
            let archive = host.paths.etcd_data().join("archive");
            assert_eq!(std::fs::read_dir(archive).unwrap().count(), 1, "cut after {cut}");
            let here = std::fs::read_dir(host.paths.etcd_data()).unwrap().count();
            assert_eq!(here, 2, "member and archive, and no unfinished copy, cut after {cut}");
            let affirmed = host.log.iter().filter(|line| line.starts_with("affirm")).count();
            assert!(affirmed <= 2, "{:?}", host.log);
            host.crash();
            if done < cut {
                assert!(cut > 7, "a recovery has at least as many steps");
                return;
            }
        }
        panic!("the recovery never ended within {MOST_STEPS} steps");
    });
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}
