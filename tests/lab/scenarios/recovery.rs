//! The rehearsal of the worst day: a majority is destroyed, and one signed directive brings the cluster back.

use crate::harness::Lab;
use crate::harness::master::DropPlace;
use crate::harness::wait;
use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// For one member to join another; far longer than any of quorate's own timers.
const JOINED_WITHIN: Duration = Duration::from_secs(150);

pub fn two_destroyed_masters_are_recovered_from_the_third_by_a_signed_directive(lab: &mut Lab) -> anyhow::Result<()> {
    lab.wipe_all()?;
    lab.boot_all()?;
    lab.desk.prepare()?;
    lab.drop_everywhere()?;
    lab.await_converged()?;
    let lost = cluster(lab, 1)?;
    lab.masters[1].etcdctl(&["put", "/witness", "written before the loss"])?;
    // What a member has not heard to be committed is not its own to restore; a few heartbeats tell it.
    std::thread::sleep(Duration::from_secs(1));

    lab.masters[0].wipe()?;
    lab.masters[2].wipe()?;
    lab.boot_all()?;
    ensure!(lab.masters[1].etcdctl(&["get", "/witness"]).is_err(), "one master of three reads with quorum");
    // What the administrator copies into the directive. How the run ends is its verdict; the document is there in any case.
    let _verdict = lab.masters[1].ask("quorate", &["reconcile", "--wait", "1s"])?;
    let shown = lab.masters[1].ask("quorate", &["status"])?;
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    ensure!(
        shown.contains(&format!("etcd cluster {lost} exists, and no member here")),
        "m2 shows no lost cluster:\n{shown}"
    );

    let expires = Timestamp::now() + SignedDuration::from_hours(1);
    lab.desk.revise(&[
        ("generation: 1 ", "generation: 2 "),
        ("phase: genesis", &format!("recovery: {{ lostClusterId: \"{lost}\", from: m2, expiresAt: {expires:.0} }}")),
    ])?;
    lab.drop_everywhere()?;
    wait::until(
        "a quorum again",
        JOINED_WITHIN,
        |_, _| {},
        || lab.masters[1].etcdctl(&["get", "/witness"]).map(|_| ((), ())),
    )?;
    lab.await_converged()?;
    let new = cluster(lab, 0)?;
    ensure!(new != lost, "the lost cluster's id {lost} lives on");
    for master in &lab.masters {
        let read = master.etcdctl(&["get", "/witness", "--print-value-only"])?;
        ensure!(read.trim() == "written before the loss", "{} reads '{}'", master.name, read.trim());
    }
    let archived = lab.masters[1].must("ls", &["/var/lib/etcd/archive"])?;
    ensure!(archived.starts_with(lost.trim_start_matches('0')), "the archive of m2 holds: {archived}");
    let status = lab.masters[2].ask("quorate", &["status"])?;
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    ensure!(status.contains("the recovery is done"), "status does not ask to seal the new cluster:\n{status}");

    let directive = lab.desk.drop_for(&lab.masters[1])?;
    lab.desk.revise(&[
        ("generation: 2 ", "generation: 3 "),
        (
            &format!("recovery: {{ lostClusterId: \"{lost}\", from: m2, expiresAt: {expires:.0} }}"),
            &format!("formed: {{ clusterId: \"{new}\", follows: \"{lost}\" }}"),
        ),
    ])?;
    lab.drop_everywhere()?;
    lab.await_converged()?;
    ensure!(cluster(lab, 2)? == new, "sealing changed the cluster");

    // The directive, well signed, once more.
    let files: Vec<_> = directive.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    lab.masters[1].put_drop(DropPlace::Etc, &files)?;
    lab.masters[1].must("quorate", &["reconcile"])?;
    lab.await_converged()?;
    ensure!(cluster(lab, 1)? == new, "a replayed directive changed the cluster");
    Ok(())
}

/// The etcd cluster id as a manifest has it, from the member of one master.
fn cluster(lab: &Lab, master: usize) -> anyhow::Result<String> {
    let status = lab.masters[master].etcdctl(&["endpoint", "status", "--write-out=json"])?;
    let status: serde_json::Value = serde_json::from_str(&status)?;
    let id = status[0]["Status"]["header"]["cluster_id"].as_u64().context("no cluster id")?;
    Ok(format!("{id:016x}"))
}
