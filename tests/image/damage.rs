//! Damaged images: what vouches for each part of a disk is asked, and a machine that cannot start says why.

use crate::harness::must;
use crate::world::Image;
use anyhow::{Context as _, ensure};
use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The image's partitions in their order (image/mkosi.repart).
const ESP: usize = 0;
const ROOT: usize = 1;
const VERITY: usize = 2;

/// How long the initrd waits for a root that will not come.
const DISK_LIMIT: Duration = Duration::from_secs(60);

/// Of a UKI: behind its headers, within what is signed.
const WITHIN_KERNEL: u64 = 1 << 20;

pub fn a_flipped_byte_of_the_root_stops_the_kernel_and_starts_the_machine_again(
    image: &mut Image,
) -> anyhow::Result<()> {
    let flip = |disk: &Path| {
        // A page of the file system that every start reads: its own superblock lies there.
        flip_byte(disk, offset(disk, ROOT)? + 1024)
    };
    starts_with(image, flip, |image| image.machine.await_on_console("is corrupted", 2))
}

pub fn a_root_that_cannot_be_opened_starts_the_machine_again(image: &mut Image) -> anyhow::Result<()> {
    let flip = |disk: &Path| flip_byte(disk, offset(disk, VERITY)?);
    let before = std::mem::replace(&mut image.machine.disk_limit, DISK_LIMIT);
    let again =
        starts_with(image, flip, |image| image.machine.await_on_console("The machine restarts in half a minute", 2));
    image.machine.disk_limit = before;
    again
}

pub fn a_kernel_that_is_not_as_signed_is_refused_by_the_firmware(image: &mut Image) -> anyhow::Result<()> {
    let kernel = image.work.join("spoiled.efi");
    let change = |disk: &Path| {
        let place = format!("{}@@{}", disk.display(), offset(disk, ESP)?);
        let inside = "::/EFI/Linux/bareos_1.efi";
        must(Command::new("mcopy").args(["-o", "-i", &place, inside]).arg(&kernel))?;
        flip_byte(&kernel, WITHIN_KERNEL)?;
        must(Command::new("mcopy").args(["-o", "-i", &place]).arg(&kernel).arg(inside)).map(drop)
    };
    starts_with(image, change, |image| image.machine.await_on_console("Access denied", 1))
}

/// Starts m1 from a disk that is spoiled so, and gives it a sound one afterwards.
fn starts_with(
    image: &mut Image,
    spoil: impl FnOnce(&Path) -> anyhow::Result<()>,
    expect: impl FnOnce(&Image) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    if image.machine.is_on() {
        image.machine.cut_power()?;
    }
    let spoiled = image.work.join("spoiled.raw");
    fs::copy(&image.built.disk, &spoiled)?;
    spoil(&spoiled)?;
    image.machine.new_disk(&spoiled)?;
    fs::write(image.machine.console(), "")?;
    image.machine.power_on()?;
    let seen = expect(image);
    image.machine.cut_power()?;
    image.machine.new_disk(&image.built.disk)?;
    seen
}

fn flip_byte(file: &Path, place: u64) -> anyhow::Result<()> {
    let file = File::options().read(true).write(true).open(file)?;
    let mut byte = [0];
    file.read_exact_at(&mut byte, place)?;
    byte[0] ^= 1;
    Ok(file.write_all_at(&byte, place)?)
}

/// Where a partition begins, in bytes.
fn offset(disk: &Path, partition: usize) -> anyhow::Result<u64> {
    /// The table: behind two sectors of 512 bytes, with entries of this size (UEFI 5.3).
    const TABLE: usize = 1024;
    const ENTRY: usize = 128;
    let mut head = [0; TABLE + 4 * ENTRY];
    File::open(disk)?.read_exact(&mut head)?;
    ensure!(&head[512..520] == b"EFI PART", "'{}' has no GUID partition table", disk.display());
    let first = head.get(TABLE + partition * ENTRY + 32..).and_then(<[u8]>::first_chunk);
    Ok(u64::from_le_bytes(*first.context("no such partition")?) * 512)
}
