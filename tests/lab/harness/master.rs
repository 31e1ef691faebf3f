//! One master: a container that can be booted, asked, given a drop, frozen, cut off and powered down without notice.

use super::isolation::{Cgroup, Inside};
use super::network::{self, Cable};
use super::{must, wait};
use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// From the start of the container to systemd answering; a busy machine with two cores takes a few seconds.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// A master of the lab, booted or not.
#[derive(Debug)]
pub struct Master {
    /// Its node name and host name.
    pub name: String,
    /// Its address on the link.
    pub address: Ipv4Addr,
    machine_id: String,
    directory: PathBuf,
    power: Power,
}

#[derive(Debug)]
enum Power {
    Off,
    On { nspawn: Child, leader: Pid, cgroup: Cgroup },
}

/// Where a drop is put.
#[derive(Debug, Clone, Copy)]
pub enum DropPlace {
    /// `/run/quorate/drop`
    Run,
    /// `/etc/quorate/drop`
    Etc,
}

impl Master {
    /// Master `number` (1, 2, …) with its own persistent `/var` below `work`.
    pub fn new(number: u8, work: &Path) -> anyhow::Result<Self> {
        let name = format!("m{number}");
        let directory = work.join(&name);
        fs::create_dir_all(directory.join("var"))?;
        let address = Ipv4Addr::new(10, 20, 0, 10 + number);
        let network =
            format!("[Match]\nName=eth0\n[Network]\nAddress={address}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n");
        fs::write(directory.join("lab.network"), network)?;
        let machine_id = format!("0b7e5ac0ffee40d1a1b2c3d4e5f607{number:02x}");
        Ok(Self { name, address, machine_id, directory, power: Power::Off })
    }

    /// Its machine-id(5), the same over all boots.
    pub fn machine_id(&self) -> &str {
        &self.machine_id
    }

    /// Boots it from `image`; returns when its systemd answers.
    pub fn boot(&mut self, inside: &Inside, image: &Path) -> anyhow::Result<()> {
        anyhow::ensure!(matches!(self.power, Power::Off), "{} is already on", self.name);
        let cgroup = inside.cgroup_of(&self.name)?;
        let console = File::options().create(true).append(true).open(self.console())?;
        // Into the control group before the first line of nspawn, which takes the group it starts in for its own.
        let join = cgroup.places().into_iter().map(|place| format!("echo $$ >{}/cgroup.procs; ", place.display()));
        let bind = |what: &str, place: &str| format!("{}:{place}", self.directory.join(what).display());
        let mut nspawn = Command::new("sh")
            .arg("-c")
            .arg(format!("{}exec \"$@\"", join.collect::<String>()))
            .args(["sh", "systemd-nspawn", "--quiet", "--boot", "--volatile=overlay", "--register=no", "--keep-unit"])
            .arg("--directory")
            .arg(image)
            .arg(format!("--machine={}", self.name))
            .arg(format!("--hostname={}", self.name))
            .arg(format!("--uuid={}", self.machine_id))
            .arg("--private-network")
            // A container has it not by default, and with it goes the system call: the VRRP daemon locks its memory.
            .arg("--capability=CAP_IPC_LOCK")
            .arg(format!("--network-veth-extra={}:eth0", self.port()))
            .arg(format!("--bind={}", bind("var", "/var")))
            .arg(format!("--bind-ro={}", bind("lab.network", "/etc/systemd/network/10-lab.network")))
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()
            .context("cannot start systemd-nspawn")?;
        let booted = self.await_boot(&mut nspawn);
        match booted {
            Ok(leader) => {
                self.power = Power::On { nspawn, leader, cgroup };
                Ok(())
            }
            Err(error) => {
                let _ = nspawn.kill();
                let _ = nspawn.wait();
                Err(error.context(format!("{} does not boot; its console:\n{}", self.name, self.console_tail())))
            }
        }
    }

    fn await_boot(&self, nspawn: &mut Child) -> anyhow::Result<Pid> {
        let quiet = |_: Duration, _: &str| {};
        let task = format!("/proc/{0}/task/{0}/children", nspawn.id());
        wait::until("the port of the container", BOOT_LIMIT, quiet, || {
            anyhow::ensure!(network::exists(&self.port()), "no link {}", self.port());
            Ok(())
        })?;
        network::plug(&self.port())?;
        let ((leader, ..), _) = wait::until("systemd in the container", BOOT_LIMIT, quiet, || {
            anyhow::ensure!(nspawn.try_wait()?.is_none(), "systemd-nspawn has ended");
            let leader = fs::read_to_string(&task)?.trim().parse().context("no leader process")?;
            let leader = Pid::from_raw(leader);
            let state = enter(leader, "systemctl", &["is-system-running"]).output()?;
            let state = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            let up = ["starting", "running", "degraded"].contains(&state.as_str());
            anyhow::ensure!(up, "systemd says '{state}'");
            Ok((leader, ()))
        })?;
        Ok(leader)
    }

    /// A command that runs inside.
    pub fn command(&self, program: &str, arguments: &[&str]) -> anyhow::Result<Command> {
        Ok(enter(self.leader()?, program, arguments))
    }

    /// Runs a command inside, whatever its exit code.
    pub fn ask(&self, program: &str, arguments: &[&str]) -> anyhow::Result<Output> {
        Ok(self.command(program, arguments)?.output()?)
    }

    /// Runs a command inside that has to succeed; what it printed.
    pub fn must(&self, program: &str, arguments: &[&str]) -> anyhow::Result<String> {
        let output = must(&mut self.command(program, arguments)?)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Puts files into a drop directory: written beside it, then renamed in, so that nobody sees half a file.
    pub fn put_drop(&self, place: DropPlace, files: &[(&str, &[u8])]) -> anyhow::Result<()> {
        let beside = match place {
            DropPlace::Run => "run/quorate",
            DropPlace::Etc => "etc/quorate",
        };
        let beside = PathBuf::from(format!("/proc/{}/root", self.leader()?)).join(beside);
        let new = |name: &str| beside.join(format!(".{name}.new"));
        for (name, bytes) in files {
            fs::write(new(name), bytes).with_context(|| format!("cannot write beside the drop of {}", self.name))?;
        }
        for (name, _) in files {
            fs::rename(new(name), beside.join("drop").join(name))?;
        }
        Ok(())
    }

    /// Writes a file of root's inside.
    pub fn put_file(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let place = format!("/proc/{}/root{path}", self.leader()?);
        fs::write(place, bytes).with_context(|| format!("cannot write '{path}' on {}", self.name))
    }

    /// Its persistent `/var`, seen from the lab.
    pub fn var(&self) -> PathBuf {
        self.directory.join("var")
    }

    /// Cuts the power: every process of it is gone in the same moment.
    pub fn cut_power(&mut self) -> anyhow::Result<()> {
        let Power::On { mut nspawn, leader, .. } = std::mem::replace(&mut self.power, Power::Off) else {
            anyhow::bail!("{} is already off", self.name);
        };
        kill(leader, Signal::SIGKILL)?;
        nspawn.wait()?;
        Ok(())
    }

    /// Reinstalls it: power off, and an empty `/var`.
    pub fn wipe(&mut self) -> anyhow::Result<()> {
        if self.is_on() {
            self.cut_power()?;
        }
        fs::remove_dir_all(self.var())?;
        fs::create_dir(self.var())?;
        Ok(())
    }

    /// Stops every process of it without ending any.
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.cgroup()?.freeze(true)
    }

    /// Lets them go on.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.cgroup()?.freeze(false)
    }

    /// Cuts or mends its cable.
    pub fn set_cable(&self, cable: Cable) -> anyhow::Result<()> {
        network::set_port(&self.port(), cable)
    }

    /// Whether it is booted.
    pub fn is_on(&self) -> bool {
        matches!(self.power, Power::On { .. })
    }

    /// What it printed on its console, over all boots.
    pub fn console(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// The end of the console, for an error message.
    pub fn console_tail(&self) -> String {
        let text = fs::read(self.console()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn port(&self) -> String {
        format!("ve-{}", self.name)
    }

    fn leader(&self) -> anyhow::Result<Pid> {
        match &self.power {
            Power::On { leader, .. } => Ok(*leader),
            Power::Off => anyhow::bail!("{} is off", self.name),
        }
    }

    fn cgroup(&self) -> anyhow::Result<&Cgroup> {
        match &self.power {
            Power::On { cgroup, .. } => Ok(cgroup),
            Power::Off => anyhow::bail!("{} is off", self.name),
        }
    }
}

fn enter(leader: Pid, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("nsenter");
    command
        .args(["--target", &leader.to_string(), "--all", "--", program])
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null());
    command
}
