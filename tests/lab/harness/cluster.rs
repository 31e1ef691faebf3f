//! What makes three masters a cluster, judged from outside: by the kernel, by etcd's own client, by exit codes.

use super::master::Master;
use super::network::VIP;
use super::{Lab, wait};
use anyhow::{Context as _, ensure};
use quorate::status::Status;
use std::time::Duration;

/// Where the node's key material lies, in the words of etcdctl.
const ETCDCTL: [&str; 4] = [
    "--endpoints=https://127.0.0.1:2379",
    "--cacert=/var/lib/quorate/pki/ca.crt",
    "--cert=/var/lib/quorate/pki/node.crt",
    "--key=/var/lib/quorate/pki/node.key",
];

/// For a cluster to form or to heal; a few seconds on an idle machine, and far longer than any of quorate's own timers.
const CONVERGED_WITHIN: Duration = Duration::from_secs(150);

impl Lab {
    /// Brings three masters to one cluster, when they are not that already.
    pub fn converge(&mut self) -> anyhow::Result<()> {
        self.boot_all()?;
        if self.converged().is_ok() {
            return Ok(());
        }
        if !self.desk.has_manifest() {
            self.desk.prepare()?;
        }
        self.drop_everywhere()?;
        self.await_converged()
    }

    /// Waits until they are.
    pub fn await_converged(&self) -> anyhow::Result<()> {
        wait::until("converged masters", CONVERGED_WITHIN, |_, _| {}, || self.converged()).map(drop)
    }

    /// Everything that "converged" means: the VIP on exactly one master, every master a healthy voter, and nothing
    /// left to plan anywhere. The error names what is missing.
    pub fn converged(&self) -> anyhow::Result<()> {
        self.holder()?;
        let voters = self.healthy_voters()?;
        ensure!(voters == self.masters.len(), "{voters} of {} masters are healthy etcd voters", self.masters.len());
        self.masters.iter().try_for_each(Master::plan_is_empty)
    }

    /// The one master that has the VIP on its link.
    pub fn holder(&self) -> anyhow::Result<usize> {
        let mut holders = Vec::new();
        for (number, master) in self.masters.iter().enumerate().filter(|(_, master)| master.is_on()) {
            if master.holds_vip()? {
                holders.push(number);
            }
        }
        match holders[..] {
            [holder] => Ok(holder),
            [] => anyhow::bail!("no master holds the VIP {VIP}"),
            _ => anyhow::bail!("{} masters hold the VIP {VIP} at the same time", holders.len()),
        }
    }

    /// How many members vote and answer, as etcd itself says at the first master that is on.
    pub fn healthy_voters(&self) -> anyhow::Result<usize> {
        let master = self.masters.iter().find(|master| master.is_on()).context("no master is on")?;
        let members = master.etcdctl(&["member", "list", "--write-out=json"])?;
        let members: serde_json::Value = serde_json::from_str(&members)?;
        let members = members["members"].as_array().context("etcdctl lists no members")?;
        let mut healthy = 0;
        for member in members.iter().filter(|member| member["isLearner"] != true) {
            // A member that was added and never started has no client URL.
            let Some(url) = member["clientURLs"][0].as_str() else { continue };
            healthy += usize::from(master.etcdctl(&[&format!("--endpoints={url}"), "endpoint", "health"]).is_ok());
        }
        Ok(healthy)
    }
}

impl Master {
    /// Whether the kernel has the VIP on its link.
    pub fn holds_vip(&self) -> anyhow::Result<bool> {
        let addresses = self.must("ip", &["-4", "-oneline", "address", "show", "dev", "eth0"])?;
        Ok(addresses.contains(&format!(" {VIP}/")))
    }

    /// `quorate plan` leaves with 0: nothing to do, nothing in the way.
    pub fn plan_is_empty(&self) -> anyhow::Result<()> {
        let plan = self.ask("quorate", &["plan"])?;
        let text = String::from_utf8_lossy(&plan.stdout);
        let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("no output").trim();
        ensure!(plan.status.success(), "{}: quorate plan leaves with {}: {first}", self.name, plan.status);
        Ok(())
    }

    /// What `quorate status --json` says.
    pub fn status(&self) -> anyhow::Result<Status> {
        // How it ends is its verdict; the document is there in any case.
        let output = self.ask("quorate", &["status", "--json"])?;
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).with_context(|| format!("{}: not a status document: {text}", self.name))
    }

    /// etcd's own client, with the node's own certificate.
    pub fn etcdctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let timeouts = ["--dial-timeout=2s", "--command-timeout=3s"];
        self.must("etcdctl", &[&ETCDCTL[..], &timeouts[..], arguments].concat())
    }

    /// A property of a unit, as systemd shows it.
    pub fn unit(&self, unit: &str, property: &str) -> anyhow::Result<String> {
        let value = self.must("systemctl", &["show", "--value", &format!("--property={property}"), unit])?;
        Ok(value.trim().to_owned())
    }
}
