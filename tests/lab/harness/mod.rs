//! The lab: three real masters on one machine.
//!
//! A master is a systemd container (systemd-nspawn) with its own kernel network stack, booted from an operating
//! system tree on which the real `quorate install --root` was run; `/var` persists over its boots, everything else is
//! volatile. Their links end in one bridge, and the lab stands on that bridge as a client of the VIP would.
//!
//! Everything lives inside namespaces of its own ([`isolation`]): no link, mount, or process of the lab can outlive it
//! or be seen outside, however it ends. The demo, the lab tests and the benches are three users of this one harness.

// Each of the three users needs another part of it.
#![allow(dead_code, unused_macros, unused_imports)]

pub mod cluster;
pub mod desk;
pub mod isolation;
pub mod master;
pub mod network;
pub mod observer;
pub mod runner;
pub mod story;
pub mod tree;
pub mod wait;

use desk::Desk;
use isolation::Inside;
use master::Master;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Three masters, the link between them and the administrator's desk.
#[derive(Debug)]
pub struct Lab {
    /// m1, m2, m3.
    pub masters: Vec<Master>,
    /// Where manifests are written and signed.
    pub desk: Desk,
    /// What the installation of quorate into the image printed.
    pub installed: String,
    inside: Inside,
    image: PathBuf,
    work: PathBuf,
    programs: Programs,
}

impl Lab {
    /// Boots every master that is off.
    pub fn boot_all(&mut self) -> anyhow::Result<()> {
        self.masters
            .iter_mut()
            .filter(|master| !master.is_on())
            .try_for_each(|master| master.boot(&self.inside, &self.image))
    }

    /// An operating system tree without quorate, to be written to.
    pub fn bare_tree(&self, name: &str) -> anyhow::Result<PathBuf> {
        tree::lay(&tree::place(&self.programs.lab_directory())?, &self.work, name)
    }

    /// `quorate install` into a tree, however it ends.
    pub fn install(&self, tree: &Path, more: &[&str]) -> anyhow::Result<Output> {
        let mut install = Command::new(self.programs.quorate());
        Ok(install.arg("install").arg("--root").arg(tree).arg("--trust").arg(self.desk.trust()).args(more).output()?)
    }

    /// What a build step is given: both programs and the trust file.
    pub fn fill_build_directory(&self, directory: &Path) -> anyhow::Result<()> {
        let quorate = self.programs.quorate();
        for file in [quorate.with_file_name("quorate-vrrpd"), quorate, self.desk.trust()] {
            std::fs::copy(&file, directory.join(file.file_name().unwrap_or_default()))?;
        }
        Ok(())
    }

    /// Takes every master back to the moment before its first boot.
    pub fn wipe_all(&mut self) -> anyhow::Result<()> {
        self.masters.iter_mut().try_for_each(Master::wipe)
    }
}

impl runner::World for Lab {
    fn prepare(programs: &Programs) -> anyhow::Result<()> {
        tree::ensure(&programs.lab_directory()).map(drop)
    }

    fn furnish(inside: Inside, programs: &Programs) -> anyhow::Result<Self> {
        let work = programs.lab_directory().join("run");
        inside.furnish(&work)?;
        network::create_bridge()?;
        let desk = Desk::set_up(&work.join("desk"), &programs.quorate())?;
        let tree = tree::place(&programs.lab_directory())?;
        let (image, installed) = tree::install(&tree, &work, &programs.quorate(), &desk.trust())?;
        let masters = (1..=3).map(|number| Master::new(number, &work)).collect::<anyhow::Result<_>>()?;
        Ok(Self { masters, desk, installed, inside, image, work, programs: programs.clone() })
    }

    fn evidence(&mut self) -> String {
        let of = |master: &Master| {
            let journal = master.ask("journalctl", &["--boot", "--no-pager", "--lines=60", "--unit=quorate-*"]);
            let journal = journal.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let journal = journal.unwrap_or_else(|error| format!("{error:#}"));
            format!(
                "--- {}: console\n{}\n--- {}: journal\n{journal}\n",
                master.name,
                master.console_tail(),
                master.name
            )
        };
        self.masters.iter().map(of).collect()
    }
}

/// The programs under test: those that cargo built beside the program that is running.
#[derive(Debug, Clone)]
pub struct Programs {
    directory: PathBuf,
}

impl Programs {
    /// Found from the path of the running test, example or bench: `target/PROFILE/{deps,examples}/NAME`.
    pub fn beside_this() -> anyhow::Result<Self> {
        let this = std::env::current_exe()?;
        let directory = this.ancestors().nth(2).map(PathBuf::from).unwrap_or_default();
        for name in ["quorate", "quorate-vrrpd"] {
            let path = directory.join(name);
            anyhow::ensure!(path.exists(), "'{}' is not built: run 'cargo build --bins' first", path.display());
        }
        Ok(Self { directory })
    }

    /// The program `quorate`.
    pub fn quorate(&self) -> PathBuf {
        self.directory.join("quorate")
    }

    /// Where the lab keeps its cached tree and runs: `target/lab`.
    pub fn lab_directory(&self) -> PathBuf {
        self.target().join("lab")
    }

    /// Where benches leave their figures: `target/bench`.
    pub fn bench_directory(&self) -> PathBuf {
        self.target().join("bench")
    }

    fn target(&self) -> &Path {
        self.directory.parent().unwrap_or(&self.directory)
    }
}

/// Runs a command that has to succeed; its error carries what it printed.
pub fn must(command: &mut Command) -> anyhow::Result<Output> {
    let shown = format!("{command:?}");
    let output = command.output().map_err(|error| anyhow::anyhow!("cannot run {shown}: {error}"))?;
    anyhow::ensure!(
        output.status.success(),
        "{shown} failed with {}:\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output)
}
