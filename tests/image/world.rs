//! The world of the image tests: the built image, one virtual machine, and the desk whose key the image trusts.

use crate::harness::desk::Desk;
use crate::harness::isolation::Inside;
use crate::harness::runner::World;
use crate::harness::{Programs, must, network};
use crate::machine::Machine;
use quorate::ident::Digest;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One virtual machine.
#[derive(Debug)]
pub struct Image {
    pub machine: Machine,
    pub desk: Desk,
    /// The image as built; nobody writes to it.
    pub disk: PathBuf,
    pub work: PathBuf,
}

impl World for Image {
    /// Builds the image when it is not yet that of these programs and this definition.
    fn prepare(programs: &Programs) -> anyhow::Result<()> {
        let built = directory(programs);
        let desk = Desk::kept(&built.join("desk"), &programs.quorate())?;
        let stamp = stamp(programs, &desk)?;
        let stamped = built.join("stamp");
        if fs::read_to_string(&stamped).is_ok_and(|found| found == stamp) {
            return Ok(());
        }
        println!("building the image");
        let bare = built.join("programs");
        fs::create_dir_all(&bare)?;
        // As an image would carry them: without what only a debugger reads.
        for name in ["quorate", "quorate-vrrpd"] {
            let from = programs.quorate().with_file_name(name);
            must(Command::new("strip").arg("--strip-all").arg("-o").arg(bare.join(name)).arg(from))?;
        }
        must(Command::new(definition().join("build")).arg(&bare).arg(desk.trust()).arg(&built))?;
        Ok(fs::write(stamped, stamp)?)
    }

    fn furnish(inside: Inside, programs: &Programs) -> anyhow::Result<Self> {
        let work = programs.lab_directory().join("run");
        inside.furnish(&work)?;
        network::create_bridge()?;
        let built = directory(programs);
        let tools = must(&mut Command::new(definition().join("tools")))?;
        let tools = PathBuf::from(String::from_utf8(tools.stdout)?.trim());
        // The tools see the lab's directories under their own names, and the devices they drive.
        for place in [Path::new("/dev"), Path::new("/proc"), &work, &built] {
            let seen = tools.join(place.strip_prefix("/")?);
            fs::create_dir_all(&seen)?;
            must(Command::new("mount").arg("--rbind").arg(place).arg(&seen))?;
        }
        let disk = built.join("bareos_1.raw");
        let machine = Machine::new(1, &work, &disk, &tools)?;
        let desk = Desk::kept(&built.join("desk"), &programs.quorate())?;
        Ok(Self { machine, desk, disk, work })
    }

    fn evidence(&self) -> String {
        format!("--- the end of the console\n{}", self.machine.console_tail())
    }
}

fn definition() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("image")
}

fn directory(programs: &Programs) -> PathBuf {
    programs.lab_directory().with_file_name("image")
}

/// A digest over everything the image is made from, but for what its packages contain.
fn stamp(programs: &Programs, desk: &Desk) -> anyhow::Result<String> {
    let mut files = vec![programs.quorate(), programs.quorate().with_file_name("quorate-vrrpd"), desk.trust()];
    let mut folders = vec![definition()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    let digests = files.iter().map(|file| Ok(Digest::of(&fs::read(file)?).to_string()));
    let digests = digests.collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Digest::of(digests.concat().as_bytes()).to_string())
}
