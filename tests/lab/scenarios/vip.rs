//! The VIP against its neighbours on the host: a killed daemon, and network services that think they know every address.

use crate::harness::Lab;
use crate::harness::master::{Fittings, Master};
use crate::harness::network::VIP;
use crate::harness::observer::{Observer, Stamp};
use crate::harness::wait;
use anyhow::{Context as _, ensure};
use quorate::ident::Mac;
use std::collections::BTreeSet;
use std::time::Duration;

const SOON: Duration = Duration::from_secs(20);
/// For a service that was restarted to look at the link and change its mind.
const SETTLE: Duration = Duration::from_millis(500);

pub fn a_killed_vrrp_daemon_leaves_no_second_vip_and_comes_back(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    lab.masters[holder].must("systemctl", &["kill", "--signal=KILL", "quorate-vrrpd.service"])?;
    wait::until(
        "a successor",
        SOON,
        |_, _| {},
        || {
            ensure!(lab.holder()? != holder, "{} still has the VIP of its dead daemon", lab.masters[holder].name);
            Ok(())
        },
    )?;
    wait::until(
        "the daemon",
        SOON,
        |_, _| {},
        || {
            let state = lab.masters[holder].unit("quorate-vrrpd.service", "ActiveState")?;
            ensure!(state == "active", "the unit is {state}");
            Ok(())
        },
    )?;
    lab.await_converged()
}

pub fn networkd_restarting_and_reconfiguring_the_link_keeps_the_vip(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let master = &lab.masters[holder];
    // Not the lab's own file alone: what 'quorate install' placed beside it has to be enough.
    let file = master.must("networkctl", &["--no-pager", "cat", "@eth0"])?;
    ensure!(file.contains("50-quorate.conf") && file.contains("KeepConfiguration=yes"), "no drop-in applies: {file}");
    let commands: [&[&str]; 3] = [
        &["systemctl", "restart", "systemd-networkd.service"],
        &["networkctl", "reload"],
        &["networkctl", "reconfigure", "eth0"],
    ];
    for command in commands {
        master.must(command[0], &command[1..])?;
        for _ in 0..20 {
            ensure!(master.holds_vip()?, "{} lost the VIP after {}", master.name, command.join(" "));
            std::thread::sleep(Duration::from_millis(50));
        }
        ensure!(lab.holder()? == holder, "the VIP moved after {}", command.join(" "));
    }
    Ok(())
}

pub fn network_manager_leaves_the_vip_alone_and_what_it_takes_comes_back_or_moves(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    // The preferred master, so that the VIP can be brought to it again and again.
    lab.masters[0].cut_power()?;
    let fittings = with_network_manager(&lab.masters[0]);
    lab.masters[0].fit(fittings);
    lab.boot_all()?;
    lab.await_converged()?;
    bring_home(lab)?;
    let master = &lab.masters[0];
    let active = master.must("nmcli", &["--get-values=GENERAL.CONNECTION", "device", "show", "eth0"])?;
    let networkd = master.unit("systemd-networkd.service", "ActiveState")?;
    ensure!(active.trim() == "lan" && networkd == "inactive", "eth0: '{}', networkd: {networkd}", active.trim());

    it_leaves_alone_what_somebody_else_put_on_the_link(master)?;
    what_it_takes_when_told_to_is_put_back(lab)?;
    what_takes_the_own_address_too_moves_the_vip(lab)?;

    // Whoever reads a report about such a night finds in it what was done to the link.
    let read = "quorate report --output /run/report.tar && tar -xOf /run/report.tar quorate-report/journal.txt";
    let journal = lab.masters[0].must("sh", &["-c", read])?;
    ensure!(journal.contains("NetworkManager["), "the report's journal is silent about NetworkManager");

    lab.masters[0].cut_power()?;
    lab.masters[0].fit(Fittings::default());
    lab.boot_all()?;
    lab.await_converged()
}

fn it_leaves_alone_what_somebody_else_put_on_the_link(master: &Master) -> anyhow::Result<()> {
    let addresses = Addresses::watch(master)?;
    let commands: [&[&str]; 4] = [
        &["systemctl", "restart", "NetworkManager.service"],
        &["systemctl", "kill", "--signal=KILL", "NetworkManager.service"],
        &["nmcli", "connection", "reload"],
        &["nmcli", "general", "reload"],
    ];
    for command in commands {
        master.must(command[0], &command[1..])?;
        wait::until("NetworkManager", SOON, |_, _| {}, || master.must("nm-online", &["--quiet", "--timeout=1"]))?;
        std::thread::sleep(SETTLE);
        let lost = addresses.lost_the_vip()?;
        ensure!(!lost && master.holds_vip()?, "{} lost the VIP after {}", master.name, command.join(" "));
    }
    addresses.end()
}

/// "Make the link as the profile says": the VIP goes, and its daemon puts it back before a peer misses it.
fn what_it_takes_when_told_to_is_put_back(lab: &Lab) -> anyhow::Result<()> {
    let master = &lab.masters[0];
    let mac: Mac = master.must("cat", &["/sys/class/net/eth0/address"])?.trim().parse()?;
    let addresses = Addresses::watch(master)?;
    let observer = Observer::start()?;
    let moment = Stamp::now()?;
    master.must("nmcli", &["device", "reapply", "eth0"])?;
    let look = || {
        ensure!(
            addresses.lost_the_vip()?,
            "nothing was taken off: does this version still do it (spec/operations.md)?"
        );
        ensure!(lab.holder()? == 0, "it moved");
        observer.failover_since(moment).context("not announced, or no answer after that")?;
        let by = observer.announcers_since(moment);
        ensure!(by == BTreeSet::from([mac.0]), "announced by {by:?}");
        Ok(())
    };
    wait::until("the VIP back on its master", SOON, |_, _| {}, look)?;
    addresses.end()
}

/// Without an address of its own no master can be Active.
fn what_takes_the_own_address_too_moves_the_vip(lab: &Lab) -> anyhow::Result<()> {
    let observer = Observer::start()?;
    let sequences: [&[&[&str]]; 2] =
        [&[&["connection", "up", "lan"]], &[&["networking", "off"], &["networking", "on"]]];
    for commands in sequences {
        bring_home(lab)?;
        for command in commands {
            lab.masters[0].must("nmcli", command)?;
            let moment = Stamp::now()?;
            let look = || {
                lab.holder()?;
                observer.answered_since(moment).context("it does not answer")
            };
            let what = format!("one master with the VIP after {}", command.join(" "));
            wait::until(&what, SOON, |_, _| {}, look)?;
        }
        lab.await_converged()?;
    }
    Ok(())
}

/// What makes a master boot with NetworkManager in place of networkd: a profile with its address and the units, as an
/// image would have them in /etc.
fn with_network_manager(master: &Master) -> Fittings {
    let profile = format!(
        "[connection]\\nid=lan\\ntype=ethernet\\ninterface-name=eth0\\n\
         [ipv4]\\nmethod=manual\\naddress1={}/24\\n[ipv6]\\nmethod=disabled\\n",
        master.address
    );
    let place = "/etc/NetworkManager/system-connections/lan.nmconnection";
    let online = "[Unit]\nWants=NetworkManager.service NetworkManager-wait-online.service\n";
    let masked = ["systemd-networkd.service", "systemd-networkd.socket", "systemd-networkd-wait-online.service"];
    Fittings {
        credentials: vec![
            ("tmpfiles.extra", format!("f+ {place} 0600 root root - {profile}\n").into_bytes()),
            ("systemd.unit-dropin.network-online.target", online.into()),
        ],
        command_line: masked.map(|unit| format!("systemd.mask={unit}")).to_vec(),
        ..Fittings::default()
    }
}

/// Brings the VIP to the first master: a daemon that is restarted resigns, and the preferred one is the quickest.
fn bring_home(lab: &Lab) -> anyhow::Result<()> {
    let look = || {
        let holder = lab.holder()?;
        if holder != 0 {
            lab.masters[holder].must("systemctl", &["restart", "quorate-vrrpd.service"])?;
        }
        ensure!(holder == 0, "{} has it", lab.masters[holder].name);
        Ok(())
    };
    wait::until("the VIP on the first master", SOON, |_, _| {}, look).map(drop)
}

/// What the kernel says of the addresses of a master, without gaps: a look now and then would miss a millisecond.
struct Addresses<'a>(&'a Master);

impl<'a> Addresses<'a> {
    /// From now on; the master has the VIP.
    fn watch(master: &'a Master) -> anyhow::Result<Self> {
        let output = format!("--property=StandardOutput=file:{SAID}");
        let monitor = ["ip", "-4", "monitor", "address", "dev", "eth0"];
        let unit = format!("--unit={MONITOR}");
        master.must("systemd-run", &[&["--quiet", "--collect", &unit, &output][..], &monitor].concat())?;
        // A VIP is renewed all the time: the first word says that somebody listens.
        let look = || {
            ensure!(master.must("cat", &[SAID])?.contains(&VIP.to_string()), "nothing was said yet");
            Ok(())
        };
        wait::until("the first renewal of the VIP", SOON, |_, _| {}, look)?;
        Ok(Self(master))
    }

    /// Whether the VIP was off the link, for however short a time.
    fn lost_the_vip(&self) -> anyhow::Result<bool> {
        let vip = format!(" {VIP}/");
        let said = self.0.must("cat", &[SAID])?;
        Ok(said.lines().any(|line| line.starts_with("Deleted ") && line.contains(&vip)))
    }

    fn end(self) -> anyhow::Result<()> {
        self.0.must("systemctl", &["stop", MONITOR])?;
        // What is still there would pass for the first word of the next watch.
        self.0.must("rm", &[SAID]).map(drop)
    }
}

const MONITOR: &str = "addresses.service";
const SAID: &str = "/run/addresses";
