//! The image and the machines, before any manifest is dropped.

use crate::harness::Lab;
use crate::harness::network::Cable;
use crate::harness::wait;
use anyhow::ensure;
use std::time::Duration;

const SETTLE: Duration = Duration::from_secs(30);

pub fn masters_boot_with_their_own_address_and_no_failed_unit(lab: &mut Lab) -> anyhow::Result<()> {
    lab.boot_all()?;
    for master in &lab.masters {
        wait::until(
            "the address",
            SETTLE,
            |_, _| {},
            || {
                let addresses = master.must("ip", &["-4", "-oneline", "address", "show", "dev", "eth0"])?;
                ensure!(addresses.contains(&format!("{}/24", master.address)), "{}: {addresses}", master.name);
                Ok(())
            },
        )?;
        wait::until(
            "the end of the boot",
            SETTLE,
            |_, _| {},
            || {
                let state = master.ask("systemctl", &["is-system-running"])?;
                let state = String::from_utf8_lossy(&state.stdout);
                let failed = master.must("systemctl", &["--failed", "--no-legend", "--plain"])?;
                ensure!(state.trim() == "running", "{} is {}: {failed}", master.name, state.trim());
                Ok(())
            },
        )?;
        ensure!(master.must("cat", &["/etc/machine-id"])?.trim() == master.machine_id());
        ensure!(master.must("hostname", &[])?.trim() == master.name);
    }
    Ok(())
}

pub fn every_unit_is_found_correct_by_the_systemd_of_the_image(lab: &mut Lab) -> anyhow::Result<()> {
    lab.boot_all()?;
    let master = &lab.masters[0];
    let units = master.must("sh", &["-c", "ls /usr/lib/systemd/system | grep ^quorate- | grep -v '\\.d$'"])?;
    ensure!(units.lines().count() >= 4, "units: {units}");
    for unit in units.lines() {
        let verified = master.ask("systemd-analyze", &["verify", "--man=no", "--recursive-errors=no", unit])?;
        let said = String::from_utf8_lossy(&verified.stderr);
        ensure!(verified.status.success() && said.trim().is_empty(), "{unit}: {said}");
    }
    Ok(())
}

pub fn no_unit_is_more_exposed_than_two_out_of_ten(lab: &mut Lab) -> anyhow::Result<()> {
    lab.boot_all()?;
    let master = &lab.masters[0];
    let services = master.must("sh", &["-c", "cd /usr/lib/systemd/system && ls quorate-*.service"])?;
    let exposed = |unit: &&str| -> anyhow::Result<Option<String>> {
        // --offline would need the unit by path and miss its drop-ins; the loaded unit has them.
        let judged = master.ask("systemd-analyze", &["security", "--no-pager", "--threshold=20", unit])?;
        let text = String::from_utf8_lossy(&judged.stdout);
        let overall = text.lines().last().unwrap_or_default().to_owned();
        Ok((!judged.status.success()).then_some(overall))
    };
    let over: Vec<_> = services.lines().filter_map(|unit| exposed(&unit).transpose()).collect::<Result<_, _>>()?;
    ensure!(over.is_empty(), "{}", over.join("\n"));
    Ok(())
}

pub fn drop_directories_are_for_root_alone(lab: &mut Lab) -> anyhow::Result<()> {
    lab.boot_all()?;
    for master in &lab.masters {
        let drops = ["/run/quorate/drop", "/etc/quorate/drop", "/var/lib/quorate/drop", "/run/quorate/collected"];
        for place in drops.into_iter().chain(["/var/lib/quorate"]) {
            let found = master.must("stat", &["--format=%a %U", place])?;
            ensure!(found.trim() == "700 root", "{}: {place} is {found}", master.name);
        }
    }
    Ok(())
}

pub fn a_master_after_a_power_cut_is_the_same_machine(lab: &mut Lab) -> anyhow::Result<()> {
    lab.boot_all()?;
    let master = &mut lab.masters[2];
    master.must("sh", &["-c", "echo kept >/var/lib/witness; echo lost >/etc/witness"])?;
    master.cut_power()?;
    lab.boot_all()?;
    let master = &lab.masters[2];
    ensure!(master.must("cat", &["/var/lib/witness"])?.trim() == "kept");
    ensure!(!master.ask("test", &["-e", "/etc/witness"])?.status.success(), "/etc outlived the power cut");
    ensure!(master.must("cat", &["/etc/machine-id"])?.trim() == master.machine_id());
    Ok(())
}

pub fn a_cut_cable_is_a_lost_carrier(lab: &mut Lab) -> anyhow::Result<()> {
    lab.boot_all()?;
    let master = &lab.masters[1];
    for (cable, carrier) in [(Cable::Cut, "0"), (Cable::Plugged, "1")] {
        master.set_cable(cable)?;
        wait::until(
            "the carrier",
            SETTLE,
            |_, _| {},
            || {
                let found = master.must("cat", &["/sys/class/net/eth0/carrier"])?;
                ensure!(found.trim() == carrier, "the carrier is {}", found.trim());
                Ok(())
            },
        )?;
    }
    Ok(())
}
