//! From drop to cluster, and back to it after each loss of power.

use crate::harness::Lab;
use crate::harness::master::{DropPlace, Master};
use crate::harness::observer::{Observer, Stamp};
use crate::harness::wait;
use anyhow::{Context as _, ensure};
use quorate::status::EtcdStatus;
use quorate::vrrp::config::Fence;
use quorate::vrrp::state::State;
use std::time::Duration;

/// For a failover, seen from the link. The manifest advertises every 100 ms; a busy machine with two cores is not a
/// benchmark, so this only tells "it moves by itself" from "it does not".
const FAILOVER_LIMIT: Duration = Duration::from_secs(10);
/// For a line of status; it takes a second.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

pub fn a_drop_brings_one_vip_and_three_healthy_voters(lab: &mut Lab) -> anyhow::Result<()> {
    lab.wipe_all()?;
    lab.boot_all()?;
    lab.desk.prepare()?;
    lab.drop_everywhere()?;
    lab.await_converged()
}

pub fn masters_that_wait_say_for_whom_and_the_last_one_completes_the_cluster(lab: &mut Lab) -> anyhow::Result<()> {
    lab.wipe_all()?;
    lab.boot_all()?;
    lab.desk.prepare()?;
    let (last, first) = lab.masters.split_last().context("there are masters")?;
    let put = |master: &Master| -> anyhow::Result<()> {
        let files = lab.desk.drop_for(master)?;
        let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
        master.put_drop(DropPlace::Run, &files)
    };
    first.iter().try_for_each(put)?;
    let quiet = |_: Duration, _: &str| {};
    for master in first {
        wait::until("the status to name who is missing", WAIT_LIMIT, quiet, || {
            let status = master.status()?;
            let progress = status.activity.map(|activity| activity.progress).unwrap_or_default();
            ensure!(progress.contains(&last.name), "{} says '{progress}'", master.name);
            ensure!(status.etcd == EtcdStatus::Unformed || matches!(status.etcd, EtcdStatus::Unknown { .. }));
            Ok(())
        })?;
        let journal = master.must("journalctl", &["--quiet", "--no-pager", "--unit=quorate-reconcile"])?;
        ensure!(journal.contains(&last.name), "{}: the journal does not name {}:\n{journal}", master.name, last.name);
        let etcd = master.unit("quorate-etcd.service", "ActiveState")?;
        ensure!(etcd.trim() == "inactive", "{} did not wait: etcd is {etcd}", master.name);
    }
    put(last)?;
    lab.await_converged()
}

/// What the unit promises, as the kernel has it: a sandbox that took any of it away would show only under load.
pub fn the_vrrp_daemon_runs_in_real_time_with_locked_memory_and_a_fence(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    for master in &lab.masters {
        let pid = master.must("systemctl", &["show", "--property=MainPID", "--value", "quorate-vrrpd"])?;
        let policy = master.must("ps", &["-o", "cls=,user:32=", "-p", pid.trim()])?;
        let policy: Vec<_> = policy.split_whitespace().collect();
        ensure!(policy == ["FF", "quorate-vrrpd"], "{}: {policy:?}", master.name);
        let locked = master.must("grep", &["VmLck", &format!("/proc/{}/status", pid.trim())])?;
        ensure!(!locked.contains(" 0 kB"), "{}: {locked}", master.name);
        let state: State = serde_json::from_str(&master.must("cat", &["/run/quorate/vrrpd/state.json"])?)?;
        ensure!(state.fence == Fence::Lease, "{}: {:?}", master.name, state.fence_problem);
    }
    Ok(())
}

pub fn a_power_cut_of_the_active_master_moves_the_vip(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let observer = Observer::start()?;
    let start = Stamp::now()?;
    let quiet = |_: Duration, _: &str| {};
    wait::until("an answer from the VIP", FAILOVER_LIMIT, quiet, || {
        observer.answered_since(start).context("the VIP does not answer before anything happens to it")
    })?;
    let killed = Stamp::now()?;
    lab.masters[holder].cut_power()?;
    let (failover, _) = wait::until("the failover", FAILOVER_LIMIT, quiet, || {
        observer.failover_since(killed).context("no other master announces the VIP and answers")
    })?;
    ensure!(failover.announced <= FAILOVER_LIMIT && failover.answered <= FAILOVER_LIMIT, "{failover:?}");
    wait::until("one successor", FAILOVER_LIMIT, quiet, || lab.holder())?;
    Ok(())
}

pub fn a_master_that_lost_power_comes_back_as_a_member_by_itself(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let members = lab.masters[holder].etcdctl(&["member", "list", "--write-out=simple"])?;
    lab.masters[holder].cut_power()?;
    lab.boot_all()?;
    lab.await_converged()?;
    let after = lab.masters[holder].etcdctl(&["member", "list", "--write-out=simple"])?;
    ensure!(sorted(&members) == sorted(&after), "it came back as another member:\n{members}\n{after}");
    Ok(())
}

pub fn all_masters_come_back_after_a_power_cut_of_the_site_without_any_drop(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    lab.masters.iter_mut().try_for_each(|master| master.cut_power())?;
    lab.boot_all()?;
    for master in &lab.masters {
        let drops = master
            .must("sh", &["-c", "ls /run/quorate/drop /etc/quorate/drop /var/lib/quorate/drop | grep yaml || true"])?;
        ensure!(drops.trim().is_empty(), "{} still has a drop: {drops}", master.name);
    }
    lab.await_converged()
}

pub fn a_reinstalled_master_rejoins_with_the_manifest_in_force(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let reinstalled = (holder + 1) % lab.masters.len();
    lab.masters[reinstalled].wipe()?;
    lab.boot_all()?;
    let files = lab.desk.drop_for(&lab.masters[reinstalled])?;
    let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    lab.masters[reinstalled].put_drop(DropPlace::Run, &files)?;
    lab.await_converged()?;
    ensure!(lab.holder()? == holder, "the VIP moved without need");
    Ok(())
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}
