//! The scenarios of the image. Names are sentences; they run in order, on one machine.

use crate::harness::master::Master;
use crate::world::Image;
use anyhow::ensure;
use std::process::Command;

/// The same definition, for containers. That the gate refuses a changed tree is the lab's to show.
pub fn as_a_directory_it_passes_the_gate_and_carries_no_kernel(image: &mut Image) -> anyhow::Result<()> {
    let mut gate = Command::new(&image.built.quorate);
    gate.args(["install", "--check", "--trust"]).arg(image.desk.trust()).arg("--root").arg(&image.built.tree);
    let checked = gate.output()?;
    ensure!(checked.status.success(), "the gate refuses: {}", String::from_utf8_lossy(&checked.stdout));
    for kernel in ["usr/lib/modules", "boot/vmlinuz", "vmlinuz"] {
        ensure!(!image.built.tree.join(kernel).try_exists()?, "'{kernel}' is in it");
    }
    Ok(())
}

pub fn a_master_without_a_manifest_boots_and_says_on_its_console_what_it_waits_for(
    image: &mut Image,
) -> anyhow::Result<()> {
    on(image)?;
    image.machine.await_on_console("/run/quorate/drop", 1)?;
    let failed = image.machine.must("systemctl --failed --no-legend --plain")?;
    ensure!(failed.is_empty(), "units failed: {failed}");
    let id = image.machine.must("cat /etc/machine-id")?;
    ensure!(id == image.machine.machine_id(), "the machine id is {id}, not that of the firmware");
    Ok(())
}

/// Its keys came with the image: firmware that knows none yet takes them from the boot partition.
pub fn the_firmware_enforces_the_signature_of_the_image(image: &mut Image) -> anyhow::Result<()> {
    on(image)?;
    let variable = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
    let value = image.machine.must(&format!("od --address-radix=n --format=u1 --skip-bytes=4 {variable}"))?;
    ensure!(value.trim() == "1", "the variable SecureBoot is '{value}'");
    Ok(())
}

pub fn nothing_of_the_image_can_be_written(image: &mut Image) -> anyhow::Result<()> {
    on(image)?;
    for place in ["/usr/witness", "/etc/witness", "/witness"] {
        let (said, code) = image.machine.ask(&format!("touch {place}"))?;
        ensure!(code != 0 && said.contains("Read-only file system"), "{place}: {said}");
    }
    let root = image.machine.must("findmnt --noheadings --output SOURCE,FSTYPE /")?;
    ensure!(root.contains("/dev/mapper/root") && root.contains("erofs"), "the root is {root}");
    let verity = image.machine.must("cat /sys/block/dm-0/dm/uuid")?;
    ensure!(verity.starts_with("CRYPT-VERITY-"), "the root is no verity device: {verity}");
    image.machine.must("touch /var/lib/witness")?;
    Ok(())
}

pub fn a_volume_plugged_into_the_waiting_master_makes_three_converge(image: &mut Image) -> anyhow::Result<()> {
    on(image)?;
    image.sign_manifest()?;
    image.converge()?;
    let source = "volume /dev/disk/by-label/QUORATE";
    ensure!(journal(image)?.contains(source), "the manifest in force is not from {source}: {}", journal(image)?);
    Ok(())
}

pub fn after_a_power_cut_of_the_site_it_converges_without_any_drop(image: &mut Image) -> anyhow::Result<()> {
    image.converge()?;
    image.machine.cut_power()?;
    image.peers.iter_mut().try_for_each(Master::cut_power)?;
    image.boot_peers()?;
    image.machine.boot()?;
    let places = "/run/quorate/drop /run/quorate/collected /var/lib/quorate/drop /run/credentials/@system";
    let (dropped, _) = image.machine.ask(&format!("find {places} -type f"))?;
    ensure!(!dropped.contains("manifest"), "there is a drop: {dropped}");
    image.await_converged()
}

pub fn a_reinstalled_master_takes_the_manifest_from_its_firmware_and_rejoins(image: &mut Image) -> anyhow::Result<()> {
    image.converge()?;
    image.machine.cut_power()?;
    image.machine.new_disk(&image.built.disk)?;
    image.converge()?;
    let journal = journal(image)?;
    for said in ["system credential quorate.manifest", "learner"] {
        ensure!(journal.contains(said), "'{said}' is not in the journal: {journal}");
    }
    Ok(())
}

/// What quorate's units said since m1 booted.
fn journal(image: &mut Image) -> anyhow::Result<String> {
    image.machine.must("journalctl --boot --no-pager --unit='quorate-*' --output=cat")
}

fn on(image: &mut Image) -> anyhow::Result<()> {
    if !image.machine.is_on() {
        image.machine.boot()?;
    }
    Ok(())
}
