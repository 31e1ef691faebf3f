//! Looking after a cluster that runs: alarms (fault 20), clocks, and certificates that are renewed under way.

use crate::faults::WHILE;
use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Host, PATIENCE};
use crate::world::{NEWEST, address, name, with_etcd};
use crate::writer::{client, while_writing};
use etcd_client::{AlarmAction, AlarmOptions, AlarmType, CompactionOptions};
use quorate::etcd::material::Material;
use quorate::etcd::{Action, CLIENT_PORT, PEER_PORT, observe, probe};
use quorate::plan::Plan;
use rustls::pki_types::ServerName;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsConnector;

/// A database quota that a test fills in a moment. etcd does not come to rest below some megabytes.
const QUOTA_BYTES: usize = 16 << 20;

/// An alarm of that member.
fn of(member: u64) -> Option<AlarmOptions> {
    let mut options = AlarmOptions::new();
    options.with_member(member);
    Some(options)
}

fn pids(hosts: &[Host]) -> Vec<Option<u32>> {
    hosts.iter().map(Host::etcd_pid).collect()
}

#[test]
fn fault_20_a_full_database_is_shown_on_every_master_and_nothing_is_restarted() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        hosts.iter_mut().for_each(|host| host.by_hand = vec![("ETCD_QUOTA_BACKEND_BYTES", QUOTA_BYTES.to_string())]);
        while_writing(&world, &[1, 2, 3], async {
            converge(&mut hosts).await;
            let before = pids(&hosts);
            let mut full = client(&world, 1).await;
            let until = Instant::now() + PATIENCE;
            while full.put("bulk", vec![7; 1 << 20], None).await.is_ok() {
                assert!(Instant::now() < until, "it is never full");
            }
            for host in &mut hosts {
                host.reconcile(WHILE).await;
                let full = |plan: &Plan<Action>| plan.blocked.iter().any(|held| held.why.starts_with("NOSPACE"));
                let plan = host.plan_that("that names the alarm", full).await;
                let why = &plan.blocked[0].why;
                assert!(plan.steps.is_empty() && why.starts_with("NOSPACE: the database of member"), "{why}");
                assert!(host.summary().await.advice.iter().any(|advice| advice.starts_with("NOSPACE")));
            }
            assert_eq!(pids(&hosts), before, "nothing was restarted");
            // The remedy as it is told: compact, defragment one by one, disarm.
            let revision = full.status().await.unwrap().header().unwrap().revision();
            full.compact(revision, Some(CompactionOptions::new().with_physical())).await.unwrap();
            for master in [1, 2, 3] {
                client(&world, master).await.defragment().await.unwrap();
            }
            for alarm in full.alarm(AlarmAction::Get, AlarmType::None, None).await.unwrap().alarms() {
                full.alarm(AlarmAction::Deactivate, AlarmType::Nospace, of(alarm.member_id())).await.unwrap();
            }
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

#[test]
fn fault_20_corrupt_data_is_named_with_its_member_and_is_no_lost_quorum() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            sleep(Duration::from_millis(300)).await;
            let view = hosts[0].observe().await.view.unwrap();
            let third = view.members.iter().find(|listed| listed.name == "m3").unwrap().id;
            let mut etcd = client(&world, 1).await;
            etcd.alarm(AlarmAction::Activate, AlarmType::Corrupt, of(third)).await.unwrap();
            sleep(Duration::from_millis(300)).await;
            let corrupt = |plan: &Plan<Action>| plan.blocked.iter().any(|held| held.why.starts_with("CORRUPT"));
            let plan = hosts[0].plan_that("that names the alarm", corrupt).await;
            let why = &plan.blocked[0].why;
            assert!(plan.steps.is_empty() && why.contains(&format!("{third:x}")), "{why}");
            etcd.alarm(AlarmAction::Deactivate, AlarmType::Corrupt, of(third)).await.unwrap();
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

#[test]
fn the_others_clocks_are_asked_at_their_peer_ports() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let material = observe::read_material(&hosts[0].paths).unwrap();
        let tls = material.client().unwrap();
        // One machine, one clock: whoever answers is at most the time of an answer away.
        for master in [2, 3] {
            let skew_ms = probe::skew_ms(&tls, &name(master), address(master)).await;
            assert_eq!(skew_ms, Some(0), "m{master}");
        }
        hosts[2].kill_etcd();
        assert_eq!(probe::skew_ms(&tls, &name(3), address(3)).await, None, "nobody is no clock");
        assert!(!hosts[0].summary().await.advice.iter().any(|advice| advice.contains("clock")));
    });
}

/// The certificate that a master's etcd shows to a new connection.
async fn shown(master: u8, port: u16, as_whom: &Material) -> Vec<u8> {
    let stream = TcpStream::connect(SocketAddr::new(address(master), port)).await.unwrap();
    let server = ServerName::try_from(name(master).to_string()).unwrap();
    let stream = TlsConnector::from(as_whom.client().unwrap()).connect(server, stream).await.unwrap();
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

#[test]
fn a_renewed_certificate_is_shown_to_new_connections_without_a_restart() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        let me = observe::read_material(&hosts[0].paths).unwrap();
        let before = pids(&hosts);
        while_writing(&world, &[1, 2, 3], async {
            for number in [1_u8, 2, 3] {
                let old = [shown(number, CLIENT_PORT, &me).await, shown(number, PEER_PORT, &me).await];
                let host = &mut hosts[usize::from(number) - 1];
                // What installing a newer bundle does; the etcd part takes its copies from there.
                world.issue(&host.paths.node_pki(), name(number).as_str(), address(number));
                converge(std::slice::from_mut(host)).await;
                let new = [shown(number, CLIENT_PORT, &me).await, shown(number, PEER_PORT, &me).await];
                assert!(new[0] != old[0] && new[1] != old[1] && new[0] == new[1], "m{number} shows the old one");
            }
            // Every old connection is cut, and all find each other again with the new certificates alone.
            sleep(Duration::from_secs(1)).await;
            assert_one_cluster(&mut hosts).await;
        })
        .await;
        assert_eq!(pids(&hosts), before, "nothing was restarted");
    });
}
