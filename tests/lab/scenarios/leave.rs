//! A master that the manifest names no more, with the real program, systemd and the VIP.

use crate::harness::Lab;
use crate::harness::desk::Signer;
use crate::harness::master::{DropPlace, Master};
use crate::harness::wait;
use anyhow::{Context as _, ensure};
use std::time::Duration;

/// For giving the VIP up and leaving; a few seconds on an idle machine.
const LEFT_WITHIN: Duration = Duration::from_secs(150);

pub fn an_active_master_that_is_named_no_more_gives_the_vip_up_and_leaves(lab: &mut Lab) -> anyhow::Result<()> {
    // Masters that an earlier scenario left at a higher generation would not take this one.
    lab.wipe_all()?;
    lab.converge()?;
    let leaver = lab.holder()?;
    // m4 takes its place; nobody boots it here, so the two that stay wait for it.
    let files = lab.desk.drop_for(&lab.masters[leaver])?;
    let (_, manifest) = files.iter().find(|(name, _)| *name == "manifest.yaml").context("no manifest on the desk")?;
    let (name, address) = (&lab.masters[leaver].name, lab.masters[leaver].address.to_string());
    let next = String::from_utf8(manifest.clone())?
        .replace("generation: 1 ", "generation: 2 ")
        .replace(&format!("name: {name}, address: {address}"), "name: m4, address: 10.20.0.14")
        .replace(&format!("hostname: {name} "), "hostname: m4 ");
    ensure!(!next.contains(&address), "the next manifest still names {name}:\n{next}");
    let signature = lab.desk.sign_unasked(next.as_bytes(), Signer::Admin)?;
    let drop = [("manifest.yaml.sig", &signature[..]), ("manifest.yaml", next.as_bytes())];
    lab.masters.iter().try_for_each(|master| master.put_drop(DropPlace::Run, &drop))?;
    let quiet = |_: Duration, _: &str| {};
    wait::until("the master to leave", LEFT_WITHIN, quiet, || has_left(&lab.masters[leaver]))?;
    let stay: Vec<&Master> = lab.masters.iter().filter(|master| master.name != *name).collect();
    wait::until("another holder of the VIP and two voters", LEFT_WITHIN, quiet, || {
        let holder = lab.holder()?;
        ensure!(holder != leaver, "{name} still holds the VIP");
        let members = stay[0].etcdctl(&["member", "list"])?;
        ensure!(members.lines().count() == 2 && !members.contains(&address), "the members are\n{members}");
        Ok(())
    })?;
    // It says so to whoever asks, and a reboot does not bring it back.
    let run = lab.masters[leaver].ask("quorate", &["reconcile"])?;
    let said = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    ensure!(run.status.code() == Some(3) && said.contains("has left the cluster"), "{}: {said}", run.status);
    lab.masters[leaver].cut_power()?;
    lab.boot_all()?;
    wait::until("the master to stay away after a reboot", LEFT_WITHIN, quiet, || has_left(&lab.masters[leaver]))?;
    lab.wipe_all()
}

/// Neither daemon runs, the VIP is not here, and the data is in the archive.
fn has_left(master: &Master) -> anyhow::Result<()> {
    for unit in ["quorate-vrrpd.service", "quorate-etcd.service"] {
        let state = master.unit(unit, "ActiveState")?;
        ensure!(state == "inactive", "{unit} is {state}");
    }
    ensure!(!master.holds_vip()?, "it holds the VIP");
    let data = master.var().join("lib/etcd");
    ensure!(!data.join("member").exists(), "its data is still in place");
    let archive = std::fs::read_dir(data.join("archive")).context("nothing is archived")?;
    let kept = archive.filter_map(Result::ok).any(|entry| entry.path().join("member/wal").exists());
    ensure!(kept, "the archive holds no log");
    let marker = std::fs::read_to_string(master.var().join("lib/quorate/etcd/member.json"))?;
    ensure!(marker.contains("\"removed\""), "the marker is {marker}");
    Ok(())
}
