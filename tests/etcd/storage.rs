//! The disk under etcd fails in one way or another: a torn log (fault 19), a data partition that is missing, read-only or
//! full (26), and data whose membership ended while it was away (15).

use crate::faults::WHILE;
use crate::genesis::{assert_one_cluster, converge, hosts};
use crate::host::{Ended, Host, PATIENCE};
use crate::world::{NEWEST, Partition, name, private_mounts, with_etcd};
use crate::writer::{self, while_writing};
use nix::mount::{MsFlags, mount};
use nix::sys::signal::Signal;
use quorate::etcd::DataDirectory;
use quorate::etcd::genesis::{Held, Marker, marker};
use quorate::etcd::observe::data_directory;
use std::path::PathBuf;
use std::time::Duration;
use tokio::time::sleep;

/// Overwrites what the first records of the log say, as a disk that lies about its writes may.
fn tear_log(host: &Host) -> PathBuf {
    let wal = host.paths.etcd_data().join("member/wal");
    let log = std::fs::read_dir(&wal).unwrap().map(|file| file.unwrap().path());
    let log = log.filter(|path| path.extension().is_some_and(|kind| kind == "wal")).min().unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    bytes[64..512].fill(0xff);
    std::fs::write(&log, &bytes).unwrap();
    log
}

fn member_id(host: &Host) -> u64 {
    match marker::read(&host.paths) {
        Held::Marker(Marker::Formed { member, .. }) => member,
        other => panic!("{other:?}"),
    }
}

#[test]
fn fault_19_a_master_with_a_torn_log_puts_it_aside_and_joins_anew() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            hosts[2].crash();
            let member = member_id(&hosts[2]);
            tear_log(&hosts[2]);
            converge(&mut hosts).await;
            assert_ne!(member_id(&hosts[2]), member, "a new member");
            let archive = hosts[2].paths.etcd_data().join("archive");
            let kept = std::fs::read_dir(archive).unwrap().map(|entry| entry.unwrap().path());
            let mut kept = kept.filter(|path| path.to_string_lossy().ends_with(&format!("-{member:x}")));
            assert!(kept.any(|path| path.join("member/wal").exists()), "archived, not deleted");
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

#[test]
fn fault_19_a_torn_log_that_may_be_needed_is_kept_until_the_others_have_a_quorum() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            hosts[1].crash();
            hosts[2].crash();
            let log = tear_log(&hosts[2]);
            let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
            assert!(plan.steps.is_empty() && plan.blocked[0].why.contains("the log is damaged"), "{plan:?}");
            assert_eq!(std::fs::read(&log).unwrap()[64..512], [0xff; 448], "it is still there");
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

#[test]
fn fault_26_a_data_partition_in_memory_or_read_only_is_not_a_wipe() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        private_mounts();
        while_writing(&world, &[1, 2], async {
            hosts[2].crash();
            let data = hosts[2].paths.etcd_data();
            // In place of the partition: first memory, as a volatile root shows it; then an empty read-only tree.
            mount(Some("none"), &data, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
            let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
            assert!(plan.blocked[0].why.contains("in memory"), "{plan:?}");
            let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
            mount(None::<&str>, &data, None::<&str>, read_only, None::<&str>).unwrap();
            let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
            assert!(plan.blocked[0].why.contains("read-only"), "{plan:?}");
            nix::mount::umount(&data).unwrap();
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

#[test]
fn fault_26_a_data_partition_that_is_missing_or_late_is_not_a_wipe() {
    with_etcd(NEWEST, |world| async move {
        private_mounts();
        let mut hosts = hosts(&world, &[1, 2, 3]);
        let partition = match Partition::over(&hosts[2].paths.etcd_data(), 512) {
            Ok(partition) => partition,
            Err(why) => return println!("SKIPPED fault_26 missing partition: {why}"),
        };
        converge(&mut hosts).await;
        let member = member_id(&hosts[2]);
        while_writing(&world, &[1, 2], async {
            hosts[2].crash();
            partition.unmount();
            // What shows is an empty directory on the good, writable, lasting disk below.
            let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
            assert!(
                plan.steps.is_empty() && plan.blocked[0].why.contains("is the data partition mounted?"),
                "{plan:?}"
            );
            partition.mount(&["-oro"]).unwrap();
            let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
            assert!(plan.steps.is_empty() && plan.blocked[0].why.contains("read-only"), "{plan:?}");
            partition.unmount();
            partition.mount(&[]).unwrap();
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        assert_eq!(member_id(&hosts[2]), member, "the same member with its data");
        hosts.iter_mut().for_each(Host::crash);
    });
}

#[test]
fn fault_26_a_reinstalled_master_whose_partition_is_full_does_not_begin_to_join() {
    with_etcd(NEWEST, |world| async move {
        private_mounts();
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        while_writing(&world, &[1, 2], async {
            hosts[2].wipe();
            let partition = match Partition::over(&hosts[2].paths.etcd_data(), 64) {
                Ok(partition) => partition,
                Err(why) => return println!("SKIPPED fault_26 full partition: {why}"),
            };
            let Ended::Blocked(plan) = hosts[2].reconcile(WHILE).await else { panic!() };
            assert!(plan.steps.is_empty() && plan.blocked[0].why.contains("MiB free"), "{plan:?}");
            let view = hosts[0].observe().await.view.unwrap();
            assert!(view.members.iter().any(|listed| listed.name == name(3).as_str()), "nobody was removed for it");
            drop(partition);
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
    });
}

#[test]
fn fault_26_a_full_partition_under_existing_data_costs_the_others_nothing() {
    with_etcd(NEWEST, |world| async move {
        private_mounts();
        let mut hosts = hosts(&world, &[1, 2, 3]);
        let partition = match Partition::over(&hosts[2].paths.etcd_data(), 256) {
            Ok(partition) => partition,
            Err(why) => return println!("SKIPPED fault_26 full partition: {why}"),
        };
        converge(&mut hosts).await;
        let member = member_id(&hosts[2]);
        while_writing(&world, &[1, 2], async {
            hosts[2].crash();
            let filler = hosts[2].paths.etcd_data().join("filler");
            let mut file = std::fs::File::create(&filler).unwrap();
            let full =
                std::iter::repeat_with(|| std::io::Write::write_all(&mut file, &[1; 1 << 20])).find(Result::is_err);
            drop(file);
            assert!(full.is_some());
            // etcd may run on what it preallocated, or not at all; nothing is put aside and nobody is removed.
            let ended = hosts[2].reconcile(WHILE).await;
            println!("a full partition under existing data: {ended:?}");
            assert_eq!(data_directory(&hosts[2].paths), DataDirectory::HasWal);
            hosts[2].crash();
            std::fs::remove_file(filler).unwrap();
            converge(&mut hosts).await;
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        assert_eq!(member_id(&hosts[2]), member, "the same member with its data");
        hosts.iter_mut().for_each(Host::crash);
        drop(partition);
    });
}

#[test]
fn fault_15_a_master_removed_while_away_that_hangs_on_its_data_rejoins() {
    with_etcd(NEWEST, |world| async move {
        let mut hosts = hosts(&world, &[1, 2, 3]);
        converge(&mut hosts).await;
        // E16 D: m3 is removed while it is down, and started while its peers are.
        let removed = member_id(&hosts[2]);
        hosts[2].crash();
        sleep(Duration::from_secs(1)).await;
        writer::remove(&world, 1, removed).await;
        hosts[0].kill_etcd();
        hosts[1].kill_etcd();
        let ended = hosts[2].reconcile(WHILE).await;
        assert!(!matches!(ended, Ended::Converged), "{ended:?}");
        assert!(hosts[2].etcd_pid().is_some(), "it hangs");
        // Frozen, so that it cannot learn of its removal and leave: quorate has to find out by itself.
        hosts[2].signal_etcd(Signal::SIGSTOP);
        converge(&mut hosts[..2]).await;
        while_writing(&world, &[1, 2], async {
            let ended = hosts[2].reconcile(PATIENCE).await;
            assert!(matches!(ended, Ended::Converged), "{ended:?}");
        })
        .await;
        assert_one_cluster(&mut hosts).await;
        let archive = hosts[2].paths.etcd_data().join("archive");
        assert!(
            std::fs::read_dir(archive)
                .unwrap()
                .any(|entry| { entry.unwrap().file_name().to_string_lossy().ends_with(&format!("-{removed:x}")) })
        );
    });
}
