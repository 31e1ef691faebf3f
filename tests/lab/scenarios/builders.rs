//! `quorate install` as the build step of others: into a directory, and as a line of a container file.

use crate::harness::Lab;
use anyhow::{Context as _, ensure};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Output};

/// How `--check` ends for a tree that is not as it should be.
const DIFFERENT: i32 = 4;

pub fn a_directory_is_installed_into_once_and_then_unchanged(lab: &mut Lab) -> anyhow::Result<()> {
    let tree = lab.bare_tree("directory")?;
    let install = |more: &[&str]| lab.install(&tree, more);
    code(&install(&["--check"])?, DIFFERENT)?;
    code(&install(&[])?, 0)?;
    code(&install(&["--check"])?, 0)?;
    let before = inodes(&tree)?;
    code(&install(&[])?, 0)?;
    ensure!(inodes(&tree)? == before, "the second installation wrote something");
    let unit = tree.join("usr/lib/systemd/system/quorate-firstboot.service");
    fs::write(&unit, "[Service]\nExecStart=/usr/bin/false\n")?;
    code(&install(&["--check"])?, DIFFERENT)?;
    code(&install(&[])?, 0)?;
    code(&install(&["--check"])?, 0)
}

/// There is no container engine here: the lines of the file run in a chroot, with the build directory mounted where they
/// ask for it, which is what an engine does for them.
pub fn the_lines_of_the_container_file_install_and_pass_their_gate(lab: &mut Lab) -> anyhow::Result<()> {
    let file = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("image/Containerfile"))?;
    let lines: Vec<_> = file.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).collect();
    let [argument, from, runs @ ..] = &lines[..] else { anyhow::bail!("it has {} lines", lines.len()) };
    ensure!((*argument, *from) == ("ARG BASE", "FROM ${BASE}"), "it begins with {argument:?}, {from:?}");
    let tree = lab.bare_tree("container")?;
    let build = tree.join("build");
    fs::create_dir(&build)?;
    lab.fill_build_directory(&build)?;
    for run in runs {
        let run =
            run.strip_prefix("RUN --mount=type=bind,target=/build ").with_context(|| format!("not known: {run}"))?;
        let script =
            "mount -t proc proc \"$0/proc\" && chroot \"$0\" sh -c \"$1\"; code=$?; umount \"$0/proc\"; exit $code";
        let output = Command::new("sh").args(["-c", script]).arg(&tree).arg(run).output()?;
        code(&output, 0).context(run.to_owned())?;
    }
    ensure!(tree.join("usr/lib/quorate/quorate-vrrpd").exists(), "nothing was installed");
    // What an engine refuses to be asked without consent is refused to us as well.
    let bare = runs[0].replace(" --yes", "").replace("RUN --mount=type=bind,target=/build ", "");
    let refused = Command::new("chroot").arg(&tree).args(["sh", "-c", &bare]).output()?;
    ensure!(!refused.status.success(), "'/' was installed into without --yes");
    Ok(())
}

fn code(output: &Output, wanted: i32) -> anyhow::Result<()> {
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(wanted), "it leaves with {}, not {wanted}:\n{said}", output.status);
    Ok(())
}

/// Which file is which, and when it was last written to: a file that is replaced is another one.
fn inodes(tree: &Path) -> anyhow::Result<BTreeMap<String, (u64, i64)>> {
    let mut found = BTreeMap::new();
    let mut folders = ["usr/lib/systemd/system", "usr/lib/quorate", "usr/bin", "etc/systemd/system"]
        .map(|folder| tree.join(folder))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let about = fs::symlink_metadata(&path)?;
            found.insert(path.display().to_string(), (about.ino(), about.mtime_nsec()));
            if about.is_dir() {
                folders.push(path);
            }
        }
    }
    Ok(found)
}
