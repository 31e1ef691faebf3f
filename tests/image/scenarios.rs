//! The scenarios of the image. Names are sentences; they run in order, on one machine.

use crate::harness::master::Master;
use crate::harness::wait;
use crate::world::Image;
use anyhow::{Context as _, ensure};
use std::fs::{self, File};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// For anything that follows a boot, without KVM and on two cores.
const LIMIT: Duration = Duration::from_secs(600);

pub fn a_master_without_a_manifest_boots_and_says_on_its_console_what_it_waits_for(
    image: &mut Image,
) -> anyhow::Result<()> {
    on(image)?;
    await_console(image, "/run/quorate/drop")?;
    let failed = image.machine.must("systemctl --failed --no-legend --plain")?;
    ensure!(failed.is_empty(), "units failed: {failed}");
    let id = image.machine.must("cat /etc/machine-id")?;
    ensure!(id == image.machine.machine_id(), "the machine id is {id}, not that of the firmware");
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

pub fn a_manifest_from_firmware_credentials_converges(image: &mut Image) -> anyhow::Result<()> {
    image.sign_manifest()?;
    image.converge()
}

pub fn after_a_power_cut_of_the_site_it_converges_without_any_drop(image: &mut Image) -> anyhow::Result<()> {
    image.converge()?;
    image.machine.cut_power()?;
    image.peers.iter_mut().try_for_each(Master::cut_power)?;
    image.boot_peers()?;
    image.machine.boot()?;
    let dropped = image.machine.must("ls /run/quorate/drop /var/lib/quorate/drop /run/credentials/@system")?;
    ensure!(!dropped.contains("yaml") && !dropped.contains("tmpfiles"), "there is a drop: {dropped}");
    image.await_converged()
}

pub fn a_reinstalled_master_rejoins(image: &mut Image) -> anyhow::Result<()> {
    image.converge()?;
    image.machine.cut_power()?;
    image.machine.new_disk(&image.built.disk)?;
    image.converge()?;
    let archive = image.machine.must("journalctl --boot --no-pager --unit='quorate-*' --output=cat")?;
    ensure!(archive.contains("learner"), "it did not join again: {archive}");
    Ok(())
}

pub fn a_flipped_byte_of_the_image_stops_the_boot(image: &mut Image) -> anyhow::Result<()> {
    if image.machine.is_on() {
        image.machine.cut_power()?;
    }
    let spoiled = image.work.join("spoiled.raw");
    fs::copy(&image.built.disk, &spoiled)?;
    flip_byte_of_root(&spoiled)?;
    image.machine.new_disk(&spoiled)?;
    fs::write(image.machine.console(), "")?;
    image.machine.power_on()?;
    let corrupted = await_console(image, "is corrupted");
    image.machine.cut_power()?;
    image.machine.new_disk(&image.built.disk)?;
    corrupted
}

fn on(image: &mut Image) -> anyhow::Result<()> {
    if !image.machine.is_on() {
        image.machine.boot()?;
    }
    Ok(())
}

fn await_console(image: &Image, text: &str) -> anyhow::Result<()> {
    wait::until(
        "a line on the console",
        LIMIT,
        |_, _| {},
        || {
            let console = fs::read(image.machine.console())?;
            ensure!(String::from_utf8_lossy(&console).contains(text), "the console does not say '{text}'");
            Ok(())
        },
    )
    .map(drop)
}

/// Flips one bit of the first block of the partition that holds the root: 4096 bytes behind its beginning lies nothing
/// but the file system's own superblock and what belongs to it.
fn flip_byte_of_root(disk: &std::path::Path) -> anyhow::Result<()> {
    /// Where a GUID partition table keeps its entries on a disk with sectors of 512 bytes, and how long one is.
    const ENTRIES_AT: u64 = 1024;
    const ENTRY_BYTES: usize = 128;
    /// The image's second partition, after the ESP (image/mkosi.repart).
    const ROOT: usize = 1;
    let mut file = File::options().read(true).write(true).open(disk)?;
    file.seek(SeekFrom::Start(ENTRIES_AT))?;
    let mut entries = [0; 4 * ENTRY_BYTES];
    file.read_exact(&mut entries)?;
    let first = entries.get(ROOT * ENTRY_BYTES + 32..ROOT * ENTRY_BYTES + 40).context("no second partition")?;
    let place = u64::from_le_bytes(first.try_into()?) * 512 + 1024;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place)?;
    byte[0] ^= 1;
    file.write_all_at(&byte, place)?;
    file.flush()?;
    Ok(())
}
