//! The versions of the image that the tests boot: the first, its successor, and a third that is broken.

use crate::harness::{Programs, must, tree};
use anyhow::Context as _;
use quorate::ident::Digest;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Makes version 3 broken: it boots, and never proves itself.
const BROKEN: &str = "[Service]\nExecStart=\nExecStart=/usr/bin/false\n";

/// What was built.
#[derive(Debug)]
pub struct Built {
    /// The disk image of version 1; nobody writes to it.
    pub disk: PathBuf,
    /// The file system on it, by itself.
    pub root: PathBuf,
    /// The same image as a directory.
    pub tree: PathBuf,
    /// The program that installed itself into both.
    pub quorate: PathBuf,
    /// A volume labelled `updates`; below `/2` and `/3` is what an update to these versions consists of.
    pub updates: PathBuf,
}

impl Built {
    /// Finds it where it was built.
    pub fn find(programs: &Programs) -> anyhow::Result<Self> {
        let directory = directory(programs);
        let root = parts(&directory, 1)?.into_iter().find(|part| part.to_string_lossy().contains(".root."));
        Ok(Self {
            disk: directory.join("bareos_1.raw"),
            root: root.context("the root of version 1 was not split off")?,
            tree: directory.join("tree"),
            quorate: release(programs).join("quorate"),
            updates: directory.join("updates.ext4"),
        })
    }
}

/// Builds the programs, and all versions when they are not yet of these programs and this definition.
pub fn build(programs: &Programs, trust: &Path) -> anyhow::Result<()> {
    let directory = directory(programs);
    let bare = released(programs)?;
    let stamp = stamp(&bare, trust)?;
    let stamped = directory.join("stamp");
    if fs::read_to_string(&stamped).is_ok_and(|found| found == stamp) {
        return Ok(());
    }
    println!("building three versions of the image, and the first as a directory");
    let broken = directory.join("broken/usr/lib/systemd/system/quorate-firstboot.service.d");
    fs::create_dir_all(&broken)?;
    fs::write(broken.join("90-broken.conf"), BROKEN)?;
    // What is kept between builds is the disk's.
    build_one(&bare, trust, &directory, 1, &["--format=directory", "--output=tree", "--incremental=no"])?;
    let updates = directory.join("updates");
    for version in 1..=3 {
        // As the tools see it.
        let broken: &[&str] = if version == 3 { &["--extra-tree=/mnt/output/broken"] } else { &[] };
        build_one(&bare, trust, &directory, version, broken)?;
        if version > 1 {
            let update = updates.join(version.to_string());
            fs::create_dir_all(&update)?;
            for part in parts(&directory, version)? {
                fs::rename(&part, update.join(part.file_name().unwrap_or_default()))?;
            }
            fs::remove_file(directory.join(format!("bareos_{version}.raw")))?;
        }
    }
    let volume = directory.join("updates.ext4");
    let mut make = Command::new("mkfs.ext4");
    must(make.args(["-q", "-F", "-L", "updates", "-d"]).arg(&updates).arg(volume).arg("2G"))?;
    fs::remove_dir_all(updates)?;
    Ok(fs::write(stamped, stamp)?)
}

/// Builds version 1 as if it were not there, from packages that are. Returns what came out otherwise than before.
pub fn build_again(programs: &Programs) -> anyhow::Result<Vec<String>> {
    let directory = directory(programs);
    let before = digests(&directory)?;
    build_one(&released(programs)?, &directory.join("desk/allowed_signers"), &directory, 1, &["--incremental=no"])?;
    Ok(digests(&directory)?.difference(&before).map(|(name, _)| name.clone()).collect())
}

/// Everything that version 1 consists of, by name and content.
fn digests(directory: &Path) -> anyhow::Result<BTreeSet<(String, Digest)>> {
    let all = parts(directory, 1)?.into_iter().chain([directory.join("bareos_1.raw")]);
    let name = |part: &Path| part.file_name().unwrap_or_default().to_string_lossy().into_owned();
    all.map(|part| Ok((name(&part), Digest::of(&fs::read(&part)?)))).collect()
}

fn build_one(programs: &Path, trust: &Path, directory: &Path, version: u8, options: &[&str]) -> anyhow::Result<()> {
    parts(directory, version)?.iter().try_for_each(fs::remove_file)?;
    let mut build = Command::new(tree::definition().join("build"));
    build.arg(programs).arg(trust).arg(directory).arg(format!("--image-version={version}")).args(options);
    must(&mut build).map(drop)
}

/// The programs as an image carries them. Those of a debug build would take a machine without KVM minutes to run.
fn released(programs: &Programs) -> anyhow::Result<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    must(Command::new(cargo).args(["build", "--quiet", "--release", "--bins", "--manifest-path", manifest]))?;
    Ok(release(programs))
}

/// Where these programs are, once they were built.
pub fn release(programs: &Programs) -> PathBuf {
    programs.lab_directory().with_file_name("release")
}

/// Where the tests build it.
pub fn directory(programs: &Programs) -> PathBuf {
    programs.lab_directory().with_file_name("image-test")
}

/// What an update to a version consists of: the kernel and the two partitions of a slot.
fn parts(directory: &Path, version: u8) -> anyhow::Result<Vec<PathBuf>> {
    let mut parts = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let prefix = format!("bareos_{version}.");
        if [".root.", ".verity.", ".efi"].iter().any(|kind| name.starts_with(&prefix) && name.contains(kind)) {
            parts.push(path);
        }
    }
    Ok(parts)
}

/// A digest over everything the image is made from, but for what its packages contain.
fn stamp(programs: &Path, trust: &Path) -> anyhow::Result<String> {
    let files = [programs.join("quorate"), programs.join("quorate-vrrpd"), trust.to_owned()];
    let digests = files.iter().map(|file| Ok(Digest::of(&fs::read(file)?).to_string()));
    let digests = digests.collect::<anyhow::Result<String>>()?;
    Ok(Digest::of(format!("{BROKEN}{}{digests}", tree::defined()?).as_bytes()).to_string())
}
