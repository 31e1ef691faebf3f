//! The operating system tree that all masters boot from: the BareOS image of `image/` as a directory, built once and kept.
//!
//! The cache is keyed by the definition: change a package or a script of it, and the next run builds a new tree. The
//! tree carries nothing of quorate; each lab lays an overlay over it and runs `quorate install` on that.

use super::must;
use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use quorate::ident::Digest;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The tree of the current definition, built when it is not there yet. Two labs that start together build it once.
pub fn ensure(lab_directory: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(lab_directory)?;
    let tree = place(lab_directory)?;
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
    must(Command::new(definition().join("build")).arg("--lab").arg(&unfinished))?;
    fs::rename(unfinished.join("tree"), &tree)?;
    fs::remove_dir_all(unfinished)?;
    Ok(tree)
}

/// Where the tree of the current definition is, built or not.
pub fn place(lab_directory: &Path) -> anyhow::Result<PathBuf> {
    Ok(lab_directory.join(format!("tree-{}", defined()?.short())))
}

/// Where the image is defined.
pub fn definition() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("image")
}

/// A digest over everything that the image is defined by. What its packages contain is not in it.
pub fn defined() -> anyhow::Result<Digest> {
    let definition = definition();
    let mut files = Vec::new();
    let mut folders = vec![definition.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let digest = |file: &PathBuf| {
        let name = file.strip_prefix(&definition)?.display();
        Ok(format!("{name} {}\n", Digest::of(&fs::read(file)?)))
    };
    Ok(Digest::of(files.iter().map(digest).collect::<anyhow::Result<String>>()?.as_bytes()))
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
