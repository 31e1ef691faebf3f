//! The world of the image tests: three masters that boot from one image, and the desk whose key that image trusts.
//!
//! m1 is a virtual machine with the image on its disk; m2 and m3 are containers on the root of that same image. Each
//! virtual machine more would take half of what two cores have without KVM.

use crate::harness::desk::Desk;
use crate::harness::isolation::Inside;
use crate::harness::master::Master;
use crate::harness::runner::World;
use crate::harness::{Programs, must, network, tree};
use crate::machine::Machine;
use crate::versions::{self, Built};
use anyhow::Context as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One virtual machine and two containers on one link.
#[derive(Debug)]
pub struct Image {
    /// m1.
    pub machine: Machine,
    /// m2 and m3.
    pub peers: Vec<Master>,
    pub desk: Desk,
    /// What was built.
    pub built: Built,
    /// For files of a scenario.
    pub work: PathBuf,
    /// The file system of the image, mounted.
    root: PathBuf,
    inside: Inside,
}

impl Image {
    /// Boots the containers that are off.
    pub fn boot_peers(&mut self) -> anyhow::Result<()> {
        let (inside, root) = (&self.inside, &self.root);
        self.peers.iter_mut().filter(|peer| !peer.is_on()).try_for_each(|peer| peer.boot(inside, root))
    }
}

impl World for Image {
    fn prepare(programs: &Programs) -> anyhow::Result<()> {
        let built = versions::directory(programs);
        let desk = Desk::kept(&built.join("desk"), &programs.quorate())?;
        versions::build(programs, &desk.trust())
    }

    fn furnish(inside: Inside, programs: &Programs) -> anyhow::Result<Self> {
        let work = programs.lab_directory().join("run");
        inside.furnish(&work)?;
        network::create_bridge()?;
        let directory = versions::directory(programs);
        let built = Built::find(programs)?;
        let tools = tools()?;
        // The tools see the lab's directories under their own names, and the devices they drive.
        for place in [Path::new("/dev"), Path::new("/proc"), &work, &directory] {
            let seen = tools.join(place.strip_prefix("/")?);
            fs::create_dir_all(&seen)?;
            must(Command::new("mount").arg("--rbind").arg(place).arg(&seen))?;
        }
        let root = work.join("root");
        fs::create_dir_all(&root)?;
        must(Command::new("mount").args(["-t", "erofs", "-o", "ro,loop"]).arg(&built.root).arg(&root))
            .context("the kernel of this machine has to know erofs")?;
        let mut machine = Machine::new(1, &work, &built.disk, &tools)?;
        machine.volumes.push(built.updates.clone());
        let peers = [2, 3].map(|number| Master::new(number, &work)).into_iter().collect::<anyhow::Result<_>>()?;
        let desk = Desk::kept(&directory.join("desk"), &programs.quorate())?;
        Ok(Self { machine, peers, desk, built, work, root, inside })
    }

    fn evidence(&mut self) -> String {
        let questions = "systemctl --failed --no-legend; systemctl list-jobs --no-legend; \
                         journalctl --boot --no-pager --lines=60 --unit='quorate-*'";
        let journal = self.machine.ask(questions).map_or_else(|error| format!("{error:#}"), |(text, _)| text);
        let mut text = format!("--- m1: console\n{}\n--- m1: journal\n{journal}\n", self.machine.console_tail());
        for peer in &self.peers {
            let journal = peer.ask("journalctl", &["--boot", "--no-pager", "--lines=40", "--unit=quorate-*"]);
            let journal = journal.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
            let journal = journal.unwrap_or_else(|error| format!("{error:#}"));
            text += &format!("--- {}: journal\n{journal}\n", peer.name);
        }
        text
    }
}

/// The root of the tools tree.
fn tools() -> anyhow::Result<PathBuf> {
    let tools = must(&mut Command::new(tree::definition().join("tools")))?;
    Ok(PathBuf::from(String::from_utf8(tools.stdout)?.trim()))
}
