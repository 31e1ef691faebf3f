//! The operating system tree that all masters boot from: Debian 13 with etcd, built once and kept.
//!
//! The cache is keyed by the recipe: change a package or a line of the set-up below, and the next run builds a new
//! tree. The tree carries nothing of quorate; each lab lays an overlay over it and runs `quorate install` on that.

use super::must;
use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use quorate::ident::Digest;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a master consists of, without quorate. etcd is pinned to Debian testing: the one of Debian 13 has known
/// membership bugs. jq and the like are absent on purpose: an immutable image is this small. NetworkManager sleeps on
/// every master but the one that a scenario boots with it.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,iproute2,nftables,procps,etcd-server,etcd-client,network-manager";

/// Debian 13, and testing for etcd alone. A mirror may lag behind the validity of testing's release file; its
/// signature is checked all the same.
const SOURCES: [&str; 2] = [
    "deb http://deb.debian.org/debian trixie main",
    "deb [check-valid-until=no] http://deb.debian.org/debian forky main",
];

/// Run by mmdebstrap before anything is installed; `$1` is the tree.
const PIN: &str = r#"mkdir -p "$1"/etc/apt/preferences.d && cat >"$1"/etc/apt/preferences.d/etcd <<END
Package: *
Pin: release n=forky
Pin-Priority: 100

Package: etcd-server etcd-client
Pin: release n=forky
Pin-Priority: 990
END"#;

/// Run by mmdebstrap at the end: networking by networkd, no timers that reach for the network, and nothing that makes
/// two masters the same machine or the build host.
const FINISH: &str = r#"set -e
chroot "$1" systemctl -q enable systemd-networkd.service
chroot "$1" systemctl -q disable NetworkManager.service NetworkManager-wait-online.service NetworkManager-dispatcher.service
chroot "$1" systemctl -q mask apt-daily.timer apt-daily-upgrade.timer systemd-timesyncd.service
rm -f "$1"/etc/hostname "$1"/etc/resolv.conf
: >"$1"/etc/machine-id"#;

/// The tree of the current recipe, built when it is not there yet. Two labs that start together build it once.
pub fn ensure(lab_directory: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(lab_directory)?;
    let tree = place(lab_directory);
    let lock = File::create(lab_directory.join("lock"))?;
    let _lock =
        Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, error)| error).context("cannot lock the cache")?;
    if tree.exists() {
        return Ok(tree);
    }
    let unfinished = tree.with_extension("building");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    must(
        Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", &format!("--include={PACKAGES}")])
            .arg(format!("--setup-hook={PIN}"))
            .arg(format!("--customize-hook={FINISH}"))
            .arg("trixie")
            .arg(&unfinished)
            .args(SOURCES),
    )?;
    fs::rename(&unfinished, &tree)?;
    Ok(tree)
}

/// Where the tree of the current recipe is, built or not.
pub fn place(lab_directory: &Path) -> PathBuf {
    let recipe = [PACKAGES, SOURCES[0], SOURCES[1], PIN, FINISH].join("\n");
    lab_directory.join(format!("tree-{}", Digest::of(recipe.as_bytes()).short()))
}

/// Lays a writable layer over the tree, kept below `work` under that name.
pub fn lay(tree: &Path, work: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let [upper, scratch, image] = ["upper", "scratch", "tree"].map(|part| work.join(format!("{name}.{part}")));
    for directory in [&upper, &scratch, &image] {
        fs::create_dir_all(directory)?;
    }
    let layers = format!("lowerdir={},upperdir={},workdir={}", tree.display(), upper.display(), scratch.display());
    must(Command::new("mount").args(["-t", "overlay", "overlay", "-o", &layers]).arg(&image))?;
    Ok(image)
}

/// Lays a writable layer over the tree and installs quorate into it, as an image build does. Returns the new tree
/// and what the installation printed.
pub fn install(tree: &Path, work: &Path, quorate: &Path, trust: &Path) -> anyhow::Result<(PathBuf, String)> {
    let image = lay(tree, work, "image")?;
    // An image names its links before quorate is installed; each master's own addresses are laid over this file.
    fs::write(image.join("etc/systemd/network/10-lab.network"), "[Match]\nName=eth0\n")?;
    let installed = must(Command::new(quorate).arg("install").arg("--root").arg(&image).arg("--trust").arg(trust))?;
    Ok((image, String::from_utf8_lossy(&installed.stdout).into_owned()))
}

/// Whether a program can be found.
pub fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}
