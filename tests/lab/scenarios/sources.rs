//! The ways in which a manifest reaches a master that nobody can log in to, each with its real carrier.

use crate::harness::Lab;
use crate::harness::master::{Fittings, Master};
use crate::harness::network::{self, BRIDGE, CLIENT, Cable};
use crate::harness::{must, wait};
use crate::server::{Answer, Pages, Server};
use anyhow::{Context as _, ensure};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const WAIT_LIMIT: Duration = Duration::from_secs(60);

pub fn masters_get_their_manifest_on_volumes_and_converge(lab: &mut Lab) -> anyhow::Result<()> {
    let place = tempfile::tempdir()?;
    let probe = place.path().join("probe");
    fs::write(&probe, [0; 4096])?;
    if let Err(error) = Loop::over(&probe) {
        println!("SKIPPED masters_get_their_manifest_on_volumes_and_converge: no block device: {error}");
        return Ok(());
    }
    let mut devices = Vec::new();
    afresh(lab, |master, files| {
        let directory = place.path().join(&master.name);
        fs::create_dir(&directory)?;
        files.iter().try_for_each(|(name, bytes)| fs::write(directory.join(name), bytes))?;
        let image = directory.with_extension("img");
        let (write, label) = match master.name.as_str() {
            "m1" => (ISO, "cidata"),
            "m2" => (FAT, "QUORATE"),
            _ => (ISO, "config-2"),
        };
        must(Command::new("sh").args(["-euc", write, "sh"]).args([label.as_ref(), directory.as_os_str()]).arg(&image))?;
        let device = Loop::over(&image)?;
        let volumes = vec![(device.0.clone(), label)];
        devices.push(device);
        Ok(Fittings { volumes, ..Fittings::default() })
    })?;
    lab.await_converged()?;
    for (master, label) in lab.masters.iter().zip(["cidata", "QUORATE", "config-2"]) {
        told(master, "quorate-*", &format!("generation 1, the first on this host: volume /dev/disk/by-label/{label}"))?;
        // It was read where it is, without a mount, in the sandbox of its unit.
        let mounts = master.must("cat", &["/proc/self/mounts"])?;
        ensure!(!mounts.contains("iso9660") && !mounts.contains("vfat"), "{}: {mounts}", master.name);
        let result = master.unit("quorate-volume.service", "Result")?;
        ensure!(result == "success", "{}: quorate-volume.service: {result}", master.name);
        let refused = master.ask("quorate", &["collect", "volume"])?;
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(said.contains("it was copied before"), "{}: {said}", master.name);
    }
    lab.masters.iter_mut().for_each(|master| master.fit(Fittings::default()));
    lab.wipe_all()
}

pub fn masters_get_their_manifest_as_system_credentials_and_converge(lab: &mut Lab) -> anyhow::Result<()> {
    afresh(lab, |_, files| {
        let credential = |name: &str| match name {
            "node.pem" => "quorate.node",
            "manifest.yaml" => "quorate.manifest",
            _ => "quorate.manifest.sig",
        };
        let credentials = files.into_iter().map(|(name, bytes)| (credential(name), bytes)).collect();
        Ok(Fittings { credentials, ..Fittings::default() })
    })?;
    lab.await_converged()?;
    for master in &lab.masters {
        // By the units, whose sandbox hides all credentials but those that they import.
        told(master, "quorate-*", "generation 1, the first on this host: system credential quorate.manifest")?;
    }
    lab.masters.iter_mut().for_each(|master| master.fit(Fittings::default()));
    lab.wipe_all()
}

pub fn masters_get_their_manifest_over_https_and_converge(lab: &mut Lab) -> anyhow::Result<()> {
    let server = Server::start(IpAddr::V4(CLIENT), &CLIENT.to_string(), Pages::new());
    // The server is up and has not got the manifest back yet from wherever it keeps it.
    let busy = Answer::status("503 Service Unavailable", "");
    let paths = ["/lab/manifest.yaml", "/lab/manifest.yaml.sig"];
    paths.into_iter().for_each(|path| server.answer(path, busy.clone()));
    let url = server.url(paths[0]);
    let mut published = Vec::new();
    afresh(lab, |_, files| {
        let (own, public): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, _)| *name == "node.pem");
        published = public;
        Ok(Fittings {
            // A private key is not published.
            credentials: own.into_iter().map(|(_, bytes)| ("quorate.node", bytes)).collect(),
            command_line: vec![format!("quorate.manifest={url}"), format!("quorate.ca=sha256:{}", server.ca_key)],
            ..Fittings::default()
        })
    })?;
    for master in &lab.masters {
        let awaited = format!("kernel command line, {url}: '{url}' is answered with '503 Service Unavailable'");
        wait::until(
            "a run that waits for the server",
            WAIT_LIMIT,
            |_, _| {},
            || told(master, "quorate-fetch", &awaited),
        )?;
        wait::until(
            "a plan that says so",
            WAIT_LIMIT,
            |_, _| {},
            || {
                let plan = master.ask("quorate", &["plan"])?;
                let text = String::from_utf8_lossy(&plan.stdout).into_owned();
                ensure!(plan.status.code() == Some(75) && text.contains(&awaited), "{}: {text}", master.name);
                Ok(())
            },
        )?;
        let failed = master.must("systemctl", &["--failed", "--no-legend", "--plain"])?;
        ensure!(failed.trim().is_empty(), "{}: {failed}", master.name);
        // It comes back by itself.
        let timer = master.unit("quorate-fetch.timer", "ActiveState")?;
        ensure!(timer == "active", "{}: quorate-fetch.timer is {timer}", master.name);
    }
    for (path, name) in paths.into_iter().zip(["manifest.yaml", "manifest.yaml.sig"]) {
        let bytes = published.iter().find(|(published, _)| *published == name).map(|(_, bytes)| bytes);
        server.answer(path, Answer::file(bytes.context("nothing to publish")?));
    }
    for master in &lab.masters {
        // As the timer does, without its minutes.
        wait::until(
            "the manifest to be fetched",
            WAIT_LIMIT,
            |_, _| {},
            || {
                master.must("systemctl", &["start", "quorate-fetch.service"])?;
                told(master, "quorate-fetch", "copy manifest.yaml, manifest.yaml.sig from kernel command line")
            },
        )?;
    }
    lab.await_converged()?;
    for master in &lab.masters {
        told(master, "quorate-*", &format!("generation 1, the first on this host: kernel command line, {url}"))?;
    }
    lab.masters.iter_mut().for_each(|master| master.fit(Fittings::default()));
    lab.wipe_all()
}

pub fn a_manifest_is_fetched_once_there_is_a_network(lab: &mut Lab) -> anyhow::Result<()> {
    let server = Server::start(IpAddr::V4(CLIENT), &CLIENT.to_string(), Pages::new());
    let url = server.url("/lab/manifest.yaml");
    // Every link has a carrier and its address, and no frame passes: a switch that is still starting.
    network::set_port(BRIDGE, Cable::Cut)?;
    afresh(lab, |_, files| {
        for (name, bytes) in files.iter().filter(|(name, _)| name.starts_with("manifest.yaml")) {
            server.answer(&format!("/lab/{name}"), Answer::file(bytes));
        }
        let command_line = vec![format!("quorate.manifest={url}"), format!("quorate.ca=sha256:{}", server.ca_key)];
        Ok(Fittings { command_line, ..Fittings::default() })
    })?;
    for master in &lab.masters {
        // What comes is brought by the run that began at boot.
        master.must("systemctl", &["stop", "quorate-fetch.timer"])?;
        wait::until(
            "a run that waits for the network",
            WAIT_LIMIT,
            |_, _| {},
            || told(master, "quorate-fetch", "cannot be reached"),
        )?;
        wait::until(
            "the end of the boot",
            WAIT_LIMIT,
            |_, _| {},
            || {
                let reached = master.unit("multi-user.target", "ActiveState")?;
                ensure!(reached == "active", "{}: multi-user.target is {reached}", master.name);
                Ok(())
            },
        )?;
        let fetch = master.unit("quorate-fetch.service", "ActiveState")?;
        ensure!(fetch == "active", "{}: it does not wait any more: {fetch}", master.name);
    }
    network::set_port(BRIDGE, Cable::Plugged)?;
    for master in &lab.masters {
        wait::until(
            "the manifest to be fetched",
            WAIT_LIMIT,
            |_, _| {},
            || told(master, "quorate-fetch", "copy manifest.yaml, manifest.yaml.sig from kernel command line"),
        )?;
        let failed = master.must("systemctl", &["--failed", "--no-legend", "--plain"])?;
        ensure!(failed.trim().is_empty(), "{}: {failed}", master.name);
    }
    lab.masters.iter_mut().for_each(|master| master.fit(Fittings::default()));
    lab.wipe_all()
}

/// Boots new masters that are given a new manifest by `fit` alone.
fn afresh(
    lab: &mut Lab,
    mut fit: impl FnMut(&Master, Vec<(&'static str, Vec<u8>)>) -> anyhow::Result<Fittings>,
) -> anyhow::Result<()> {
    lab.wipe_all()?;
    lab.desk.prepare()?;
    for master in &mut lab.masters {
        let fittings = fit(master, lab.desk.drop_for(master)?)?;
        master.fit(fittings);
    }
    lab.boot_all()
}

/// Whether the journal of some units has a line.
fn told(master: &Master, units: &str, line: &str) -> anyhow::Result<()> {
    let journal = master.must("journalctl", &["--boot", "--quiet", "--no-pager", &format!("--unit={units}")])?;
    ensure!(journal.contains(line), "{}: no '{line}' in\n{journal}", master.name);
    Ok(())
}

/// Label, directory, image.
const ISO: &str = r#"genisoimage -quiet -joliet -rock -volid "$1" -output "$3" "$2""#;
const FAT: &str = r#"mkfs.vfat -n "$1" -C "$3" 1440 >/dev/null && mcopy -i "$3" "$2"/* ::"#;

/// A block device over an image file, until it is dropped.
struct Loop(PathBuf);

impl Loop {
    fn over(image: &Path) -> anyhow::Result<Self> {
        let output = must(Command::new("losetup").args(["--find", "--show", "--read-only"]).arg(image))?;
        Ok(Self(String::from_utf8_lossy(&output.stdout).trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _let_go = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}
