//! The walls of the lab: a process tree in network, mount and process namespaces of its own.
//!
//! The program runs twice. Outside, it prepares what needs the network, then starts itself again inside new
//! namespaces and waits. Inside, it is process 1: when it ends, by whatever signal, the kernel kills every container
//! with it, and mounts, links and addresses go with their namespaces. When the outside is killed, parent-death signals
//! end the inside. What namespaces do not cover are empty control groups, which the outside removes, or the next run.

use super::must;
use anyhow::Context as _;
use nix::sys::signal::{SigSet, Signal};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::time::Duration;

/// Set inside: the name of this lab's control group.
const INSIDE: &str = "QUORATE_LAB_INSIDE";

/// What every control group of a lab starts with; the process id of its outside follows.
const CGROUP_PREFIX: &str = "quorate-lab-";

/// On which side of the walls this process is.
#[derive(Debug)]
pub enum Side {
    /// On the host: prepare, then [`Outside::run_inside`].
    Outside(Outside),
    /// In the lab.
    Inside(Inside),
    /// The lab cannot be set up here.
    Impossible {
        /// What is missing.
        why: String,
    },
}

/// The side that waits.
#[derive(Debug)]
pub struct Outside {
    cgroup: Cgroup,
}

/// The side that has the lab to itself.
#[derive(Debug)]
pub struct Inside {
    cgroup: Cgroup,
}

/// Finds out which side this is.
pub fn side() -> anyhow::Result<Side> {
    if let Ok(name) = std::env::var(INSIDE) {
        return Ok(Side::Inside(Inside { cgroup: Cgroup::named(&name) }));
    }
    if !nix::unistd::geteuid().is_root() {
        return Ok(Side::Impossible { why: "the lab needs root: it boots containers".into() });
    }
    for program in ["systemd-nspawn", "mmdebstrap", "unshare", "setpriv", "nsenter", "ip"] {
        if !super::tree::in_path(program) {
            return Ok(Side::Impossible { why: format!("'{program}' is not installed: run tests/lab/prepare") });
        }
    }
    Cgroup::sweep()?;
    Ok(Side::Outside(Outside { cgroup: Cgroup::named(&format!("{CGROUP_PREFIX}{}", std::process::id())) }))
}

impl Outside {
    /// Starts this program again inside, waits for its end and removes what is left.
    pub fn run_inside(self) -> anyhow::Result<ExitCode> {
        // From here on the two signals end the inside, and this process goes on to clean up.
        let awaited = SigSet::from_iter([Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM]);
        awaited.thread_block().context("cannot block signals")?;
        self.cgroup.create()?;
        let mut inside = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "unshare"])
            .args(["--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"])
            .arg(std::env::current_exe()?)
            .args(std::env::args_os().skip(1))
            .env(INSIDE, &self.cgroup.name)
            .spawn()
            .context("cannot start the lab in namespaces of its own")?;
        let outcome = wait_or_end(&mut inside, &awaited);
        self.cgroup.remove();
        let code = outcome?.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
    }
}

/// Waits for the inside; an interrupt kills it at once, there is nothing in it to be tidied.
fn wait_or_end(inside: &mut Child, awaited: &SigSet) -> anyhow::Result<ExitStatus> {
    loop {
        match awaited.wait().context("cannot wait for signals")? {
            Signal::SIGCHLD => {
                if let Some(status) = inside.try_wait()? {
                    return Ok(status);
                }
            }
            signal => {
                inside.kill()?;
                inside.wait()?;
                eprintln!("\n{signal}: the lab is gone, nothing is left behind");
                return Ok(ExitStatus::from_raw((128 + signal as i32) << 8));
            }
        }
    }
}

impl Inside {
    /// Gives the lab an empty `/run` and an empty work directory, both of which vanish with it.
    pub fn furnish(&self, work: &Path) -> anyhow::Result<()> {
        fs::create_dir_all(work)?;
        must(Command::new("mount").args(["-t", "tmpfs", "tmpfs", "/run"]))?;
        // A disk, for quorate takes what lies in memory for an unmounted data partition. Unlinked as soon as it is
        // mounted, it vanishes with the mount namespace.
        let disk = work.with_extension("ext4");
        fs::File::create(&disk)?.set_len(DISK_BYTES)?;
        must(Command::new("mkfs.ext4").args(["-q", "-F", "-E", "lazy_itable_init=1"]).arg(&disk))?;
        must(Command::new("mount").args(["-o", "loop"]).arg(&disk).arg(work))?;
        fs::remove_file(&disk)?;
        must(Command::new("ip").args(["link", "set", "lo", "up"]))?;
        Ok(())
    }

    /// The control group of one master, empty.
    pub fn cgroup_of(&self, master: &str) -> anyhow::Result<Cgroup> {
        let cgroup = Cgroup::named(&format!("{}/{master}", self.cgroup.name));
        cgroup.remove();
        cgroup.create()?;
        Ok(cgroup)
    }
}

/// A control group, in every hierarchy that systemd uses on this host. Containers that shared one would take each
/// other's services for their own.
#[derive(Debug, Clone)]
pub struct Cgroup {
    name: String,
}

impl Cgroup {
    fn named(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Removes the groups of labs whose outside is dead.
    fn sweep() -> anyhow::Result<()> {
        for hierarchy in hierarchies() {
            for entry in fs::read_dir(hierarchy)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                let owner = name.strip_prefix(CGROUP_PREFIX);
                if owner.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
                    Self::named(&name).remove();
                }
            }
        }
        Ok(())
    }

    /// Where it is in each hierarchy.
    pub fn places(&self) -> Vec<PathBuf> {
        hierarchies().into_iter().map(|hierarchy| hierarchy.join(&self.name)).collect()
    }

    fn create(&self) -> anyhow::Result<()> {
        for place in self.places() {
            fs::create_dir_all(&place).with_context(|| format!("cannot create '{}'", place.display()))?;
        }
        Ok(())
    }

    /// Stops or continues everything in the group (control groups version 2).
    pub fn freeze(&self, frozen: bool) -> anyhow::Result<()> {
        let switch = self.places().into_iter().map(|place| place.join("cgroup.freeze")).find(|file| file.exists());
        let switch = switch.context("no control group hierarchy of version 2 to freeze with")?;
        fs::write(switch, if frozen { "1" } else { "0" })?;
        Ok(())
    }

    /// Removes the group with all below it. Killed processes leave it within moments; one that is still not empty
    /// after that is the next sweep's.
    fn remove(&self) {
        fn remove_below(place: &Path) {
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    remove_below(&entry.path());
                }
            }
            let _ = fs::remove_dir(place);
        }
        for _ in 0..40 {
            self.places().iter().for_each(|place| remove_below(place));
            if !self.places().iter().any(|place| place.exists()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Where systemd keeps its groups: one unified hierarchy, or a named one beside a unified one.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.to_owned()];
    }
    ["unified", "systemd"].map(|name| root.join(name)).into_iter().filter(|place| place.exists()).collect()
}

/// Sparse: what three masters write is far less.
const DISK_BYTES: u64 = 8 << 30;
