//! What makes the three masters of an image one cluster, judged as an administrator would.

use crate::harness::master::DropPlace;
use crate::harness::network::VIP;
use crate::harness::{must, wait};
use crate::machine::Credential;
use crate::world::Image;
use anyhow::ensure;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// For anything that follows a boot, without KVM and on two cores.
const LIMIT: Duration = Duration::from_secs(600);

/// Between two questions to m1.
const LEISURE: Duration = Duration::from_secs(3);

impl Image {
    /// Waits until all three masters are one cluster with nothing left to plan.
    pub fn await_converged(&mut self) -> anyhow::Result<()> {
        wait::until("three converged masters", LIMIT, |_, _| {}, || self.converged()).map(drop)
    }

    fn converged(&mut self) -> anyhow::Result<()> {
        // A machine without KVM that is asked all the time does nothing else.
        std::thread::sleep(LEISURE);
        let (plan, code) = self.machine.ask("quorate plan")?;
        ensure!(code == 0, "m1: quorate plan leaves with {code}: {plan}");
        let mut holders = usize::from(self.machine.must("ip -4 -oneline address")?.contains(&format!(" {VIP}/")));
        for peer in &self.peers {
            peer.plan_is_empty()?;
            holders += usize::from(peer.holds_vip()?);
        }
        ensure!(holders == 1, "{holders} masters hold the VIP {VIP}");
        let (status, _) = self.machine.ask("quorate status")?;
        ensure!(status.contains("3 of 3 voters healthy"), "{status}");
        Ok(())
    }

    /// Signs a manifest for a new cluster of the three. What the kernel calls the link of m1 is nobody's promise, so
    /// that it is named by its hardware address; and without KVM a tenth of a second is not much.
    pub fn sign_manifest(&self) -> anyhow::Result<()> {
        let (all, own) = ("address: 10.20.0.11,", "address: 10.20.0.11, interface: \"52:54:00:00:00:01\",");
        let edit =
            |starter: &str| starter.replace(all, own).replace("advertiseInterval: 100ms", "advertiseInterval: 1s");
        self.desk.prepare_edited(edit).map(drop)
    }

    /// Boots whatever is off, with the manifest where it is not in force yet, and waits for the cluster. m1 gets it from
    /// its firmware when it is off, and on a stick when it is on; m2 and m3 as a drop.
    pub fn converge(&mut self) -> anyhow::Result<()> {
        self.boot_peers()?;
        if self.machine.is_on() && self.machine.ask("ls /var/lib/quorate/manifests/*")?.1 == 0 {
            return self.await_converged();
        }
        if !self.desk.has_manifest() {
            self.sign_manifest()?;
        }
        for peer in &self.peers {
            let files = self.desk.files_for(&peer.name)?;
            let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
            peer.put_drop(DropPlace::Run, &files)?;
        }
        if self.machine.is_on() {
            let stick = self.stick_for_m1()?;
            self.machine.plug_in(&stick)?;
        } else {
            let own = self.machine.credentials.len();
            self.machine.credentials.extend(self.credentials_for_m1()?);
            let booted = self.machine.boot();
            self.machine.credentials.truncate(own);
            booted?;
        }
        self.await_converged()
    }

    /// The manifest, its signature and the bundle of m1 as credentials of its firmware.
    fn credentials_for_m1(&self) -> anyhow::Result<Vec<Credential>> {
        let name = |file| match file {
            "node.pem" => "quorate.node",
            "manifest.yaml" => "quorate.manifest",
            _ => "quorate.manifest.sig",
        };
        let files = self.desk.files_for("m1")?.into_iter();
        Ok(files.map(|(file, value)| Credential { name: name(file).into(), value }).collect())
    }

    /// The same on a volume, as an administrator writes it.
    fn stick_for_m1(&self) -> anyhow::Result<PathBuf> {
        let (files, stick) = (self.work.join("stick"), self.work.join("stick.img"));
        fs::create_dir_all(&files)?;
        let _ = fs::remove_file(&stick);
        for (name, bytes) in self.desk.files_for("m1")? {
            fs::write(files.join(name), bytes)?;
        }
        must(Command::new("mkfs.vfat").args(["-n", "QUORATE", "-C"]).arg(&stick).arg("1440"))?;
        // A shell, for the star.
        let copy = r#"mcopy -i "$1" "$2"/* ::"#;
        must(Command::new("sh").args(["-euc", copy, "sh"]).args([&stick, &files]))?;
        Ok(stick)
    }
}
