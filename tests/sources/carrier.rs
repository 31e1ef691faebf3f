//! A host without anything but its directories, and the volumes that are attached to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A host below a directory.
pub struct Host {
    pub root: tempfile::TempDir,
}

impl Host {
    pub fn new() -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(host.labels()).unwrap();
        host
    }

    pub fn labels(&self) -> PathBuf {
        self.root.path().join("dev/disk/by-label")
    }

    /// What was copied from a volume.
    pub fn copy(&self, label: &str) -> PathBuf {
        self.root.path().join("run/quorate/collected").join(format!("volume-{label}"))
    }

    /// Runs a verb on this host; its exit code, and what it said with the root left out.
    pub fn quorate(&self, verb: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
        let output =
            command.args(verb).arg("--root").arg(self.root.path()).env_remove("JOURNAL_STREAM").output().unwrap();
        let said = [&output.stdout[..], &output.stderr[..]].concat();
        let said = String::from_utf8(said).unwrap().replace(self.root.path().to_str().unwrap(), "");
        (output.status.code().unwrap(), said)
    }
}

/// The files of a volume that is whole.
pub fn drop_files(directory: &Path) {
    fs::create_dir_all(directory).unwrap();
    // Long enough for several clusters.
    fs::write(directory.join("manifest.yaml"), "# a manifest\n".repeat(1000)).unwrap();
    fs::write(directory.join("manifest.yaml.sig"), "signature\n".repeat(100)).unwrap();
    fs::write(directory.join("node.pem"), "bundle\n").unwrap();
    fs::write(directory.join("user-data"), "#cloud-config\n").unwrap();
}

/// How a volume is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// As cloud-localds(1) does.
    RockRidgeAndJoliet,
    RockRidge,
    Joliet,
    /// Long names without any extension.
    Plain,
    Xorriso,
    Fat12,
    Fat16,
    Fat32,
}

pub const WRITERS: [Writer; 8] = [
    Writer::RockRidgeAndJoliet,
    Writer::RockRidge,
    Writer::Joliet,
    Writer::Plain,
    Writer::Xorriso,
    Writer::Fat12,
    Writer::Fat16,
    Writer::Fat32,
];

impl Writer {
    /// Makes the volume `image` of what lies in `files`.
    pub fn write(self, files: &Path, image: &Path) {
        let (width, kilobytes) = match self {
            Writer::Fat12 => ("12", "1440"),
            Writer::Fat16 => ("16", "16384"),
            Writer::Fat32 => ("32", "40000"),
            iso => return iso.write_iso(files, image),
        };
        must(Command::new("mkfs.vfat").args(["-F", width, "-n", "QUORATE", "-C"]).arg(image).arg(kilobytes));
        let entries = fs::read_dir(files).unwrap().map(|entry| entry.unwrap().path());
        must(Command::new("mcopy").arg("-i").arg(image).args(entries).arg("::"));
    }

    fn write_iso(self, files: &Path, image: &Path) {
        let program = if self == Writer::Xorriso { "xorriso" } else { "genisoimage" };
        let options: &[&str] = match self {
            Writer::RockRidgeAndJoliet => &["-joliet", "-rock"],
            Writer::RockRidge => &["-rock"],
            Writer::Joliet => &["-joliet"],
            Writer::Plain => &["-allow-multidot", "-iso-level", "4"],
            _ => &["-as", "mkisofs"],
        };
        must(Command::new(program).args(options).args(["-quiet", "-volid", "QUORATE", "-o"]).arg(image).arg(files));
    }
}

/// Says why a test does not run when a program that writes volumes is missing.
pub fn can_write(test: &str) -> bool {
    let missing = ["genisoimage", "xorriso", "mkfs.vfat", "mcopy"].into_iter().find(|program| !in_path(program));
    if let Some(program) = missing {
        println!("SKIPPED {test}: {program} is not installed (tests/lab/prepare)");
    }
    missing.is_none()
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where Debian keeps mkfs.
    std::env::split_paths(&path).chain(["/usr/sbin".into()]).any(|directory| directory.join(program).exists())
}

pub fn must(command: &mut Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// A block device of the kernel over an image file; let go at the end, whatever happens.
pub struct Loop(pub PathBuf);

impl Loop {
    /// Nothing where this machine lends none.
    pub fn over(image: &Path) -> Option<Self> {
        let output = Command::new("losetup").args(["--find", "--show", "--read-only"]).arg(image).output().ok()?;
        output.status.success().then(|| Self(String::from_utf8_lossy(&output.stdout).trim().into()))
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        let _let_go = Command::new("losetup").arg("--detach").arg(&self.0).status();
    }
}
