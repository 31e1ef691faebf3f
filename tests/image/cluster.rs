//! What makes the three masters of an image one cluster, judged as an administrator would.

use crate::harness::network::VIP;
use crate::harness::wait;
use crate::machine::{Credential, base64};
use crate::world::Image;
use anyhow::ensure;
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

    /// The drop for m1 as a credential of its firmware: files that tmpfiles.d(5) lays at boot, their bytes in base64.
    pub fn credentials_for_m1(&self) -> anyhow::Result<Vec<Credential>> {
        let files = self.desk.files_for("m1")?;
        let lines = files
            .iter()
            .map(|(name, bytes)| format!("f~ /run/quorate/drop/{name} 0600 root root - {}\n", base64(bytes)));
        Ok(vec![Credential { name: "tmpfiles.extra".into(), value: lines.collect::<String>().into_bytes() }])
    }

    /// Boots whatever is off, with the manifest where there is none yet, and waits for the cluster.
    pub fn converge(&mut self) -> anyhow::Result<()> {
        self.boot_peers()?;
        if self.machine.is_on() && self.converged().is_ok() {
            return Ok(());
        }
        if !self.desk.has_manifest() {
            self.sign_manifest()?;
        }
        for peer in &self.peers {
            let files = self.desk.files_for(&peer.name)?;
            let files: Vec<_> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
            peer.put_drop(crate::harness::master::DropPlace::Run, &files)?;
        }
        if self.machine.is_on() {
            self.machine.cut_power()?;
        }
        let own = self.machine.credentials.len();
        self.machine.credentials.extend(self.credentials_for_m1()?);
        self.machine.boot()?;
        self.machine.credentials.truncate(own);
        self.await_converged()
    }
}
