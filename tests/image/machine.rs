//! One virtual machine that boots the disk image: firmware, UKI, verity, first boot, as on metal.
//!
//! Without KVM, an instruction at a time: everything takes minutes where a container takes seconds, so limits are
//! generous and nothing here is a measurement of quorate.

use crate::harness::{must, network, wait};
use crate::serial::Shell;
use anyhow::{Context as _, ensure};
use base64ct::{Base64, Encoding as _};
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// From power on to a shell that answers; a minute on an idle machine with two cores.
const BOOT_LIMIT: Duration = Duration::from_secs(600);

/// For one command on the serial shell; the longest writes the two partitions of a slot.
const COMMAND_LIMIT: Duration = Duration::from_secs(300);

/// Patience of the guest with its disks, on a machine that is busy with other things.
const DISK_LIMIT: Duration = Duration::from_secs(600);

/// For something that takes a moment.
const LOOK: Duration = Duration::from_secs(30);

/// A virtual machine, on or off.
#[derive(Debug)]
pub struct Machine {
    /// Its host name and the name of its port.
    pub name: String,
    number: u8,
    directory: PathBuf,
    tools: PathBuf,
    /// Given to it by its firmware at each boot.
    pub credentials: Vec<Credential>,
    /// How long it waits for a disk before its start has failed.
    pub disk_limit: Duration,
    /// Further disks, read-only.
    pub volumes: Vec<PathBuf>,
    power: Option<Running>,
}

/// A machine that is on; its shell answers once it has booted.
#[derive(Debug)]
struct Running {
    qemu: Child,
    shell: Option<Shell>,
}

/// A system credential (systemd.system-credentials(7)).
#[derive(Debug, Clone)]
pub struct Credential {
    pub name: String,
    pub value: Vec<u8>,
}

impl Machine {
    /// Machine `number` with a disk of its own over the read-only `image`. `tools` is the root of the tools tree.
    pub fn new(number: u8, work: &Path, image: &Path, tools: &Path) -> anyhow::Result<Self> {
        let name = format!("m{number}");
        let directory = work.join(&name);
        fs::create_dir_all(&directory)?;
        let machine = Self {
            credentials: vec![
                Credential { name: "system.hostname".into(), value: name.clone().into_bytes() },
                Credential { name: "network.network.10-lab".into(), value: network_file(number).into_bytes() },
            ],
            disk_limit: DISK_LIMIT,
            volumes: Vec::new(),
            name,
            number,
            directory,
            tools: tools.to_owned(),
            power: None,
        };
        // What firmware remembers, for as long as the machine lives. It knows no keys yet, as in "setup mode".
        fs::copy(tools.join("usr/share/OVMF/OVMF_VARS_4M.fd"), machine.firmware())?;
        machine.new_disk(image)?;
        Ok(machine)
    }

    /// Gives it an empty disk with the image on it, as an installation does.
    pub fn new_disk(&self, image: &Path) -> anyhow::Result<()> {
        let disk = self.directory.join("disk.qcow2");
        let mut create = self.tool("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", "raw", "-b"]).arg(image).arg(disk).arg("4G");
        must(&mut create).map(drop)
    }

    /// Its id as firmware tells it and machine-id(5) has it.
    pub fn machine_id(&self) -> String {
        format!("0b7e5ac0ffee40d1a1b2c3d4e5f608{:02x}", self.number)
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        self.power.is_some()
    }

    /// Switches it on; returns when its shell answers.
    pub fn boot(&mut self) -> anyhow::Result<Duration> {
        let start = Instant::now();
        self.power_on()?;
        match self.await_shell() {
            Ok(shell) => {
                self.power.as_mut().context("it is off")?.shell = Some(shell);
                Ok(start.elapsed())
            }
            Err(error) => {
                let error =
                    error.context(format!("{} does not boot; its console:\n{}", self.name, self.console_tail()));
                self.cut_power()?;
                Err(error)
            }
        }
    }

    /// Listens from the first moment on: the line says nothing twice.
    fn await_shell(&mut self) -> anyhow::Result<Shell> {
        let socket = self.socket();
        let connect = || Shell::connect(&socket);
        let (mut shell, _) = wait::until("the serial line", LOOK, |_, _| {}, connect)?;
        shell.await_prompt(BOOT_LIMIT)?;
        Ok(shell)
    }

    /// Switches it on and leaves it to itself.
    pub fn power_on(&mut self) -> anyhow::Result<()> {
        ensure!(self.power.is_none(), "{} is already on", self.name);
        let id = self.machine_id();
        let uuid = [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        let tap = format!("tap-{}", self.name);
        if !network::exists(&tap) {
            must(Command::new("ip").args(["tuntap", "add", &tap, "mode", "tap"]))?;
        }
        network::plug(&tap)?;
        let socket = self.socket();
        for former in [&socket, &self.monitor()] {
            let _ = fs::remove_file(former);
        }
        // Added to that of the kernel image: a root shell.
        let patience = self.disk_limit.as_secs();
        let command_line = format!("systemd.debug_shell=ttyS1 systemd.default_device_timeout_sec={patience}");
        let mut qemu = self.tool("qemu-system-x86_64");
        // Secure Boot needs a processor mode in which nobody but the firmware writes what the firmware remembers.
        qemu.args(["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"])
            .args(["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"])
            .args(["-display", "none", "-nodefaults", "-uuid", &uuid])
            .args(["-drive", "if=pflash,format=raw,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd"])
            .args(["-drive", &format!("if=pflash,format=raw,file={}", self.firmware().display())])
            .args(["-drive", &format!("if=virtio,file={}", self.directory.join("disk.qcow2").display())])
            .args(["-netdev", &format!("tap,id=lan,ifname={tap},script=no,downscript=no")])
            .args(["-device", &format!("virtio-net-pci,netdev=lan,mac=52:54:00:00:00:{:02x}", self.number)])
            .args(["-serial", &format!("file:{}", self.console().display())])
            .args(["-serial", &format!("unix:{},server=on,wait=off", socket.display())])
            .args(["-monitor", &format!("unix:{},server=on,wait=off", self.monitor().display())])
            .args(["-device", "qemu-xhci,id=usb"])
            .args(["-smbios", &format!("type=11,value=io.systemd.stub.kernel-cmdline-extra={command_line}")]);
        for volume in &self.volumes {
            qemu.args(["-drive", &format!("if=virtio,format=raw,readonly=on,file={}", volume.display())]);
        }
        for (number, credential) in self.credentials.iter().enumerate() {
            // Through a file: a key does not belong on a command line.
            let file = self.directory.join(format!("credential-{number}"));
            let value = Base64::encode_string(&credential.value);
            fs::write(&file, format!("io.systemd.credential.binary:{}={value}", credential.name))?;
            qemu.args(["-smbios", &format!("type=11,path={}", file.display())]);
        }
        let log = File::create(self.directory.join("qemu.log"))?;
        let qemu = qemu.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
        self.power = Some(Running { qemu, shell: None });
        Ok(())
    }

    /// Runs a command on the serial shell; what it printed and its exit code.
    pub fn ask(&mut self, command: &str) -> anyhow::Result<(String, i32)> {
        let running = self.power.as_mut().with_context(|| format!("{} is off", self.name))?;
        let shell = running.shell.as_mut().with_context(|| format!("{} has not booted", self.name))?;
        shell.ask(command, COMMAND_LIMIT)
    }

    /// The same, for a command that has to succeed.
    pub fn must(&mut self, command: &str) -> anyhow::Result<String> {
        let (output, code) = self.ask(command)?;
        ensure!(code == 0, "{}: '{command}' leaves with {code}: {output}", self.name);
        Ok(output)
    }

    /// Tells one boot from the next.
    pub fn boot_id(&mut self) -> anyhow::Result<String> {
        let running = self.power.as_mut().with_context(|| format!("{} is off", self.name))?;
        let shell = running.shell.as_mut().with_context(|| format!("{} has not booted", self.name))?;
        shell.ask("cat /proc/sys/kernel/random/boot_id", LOOK).map(|(id, _)| id)
    }

    /// Waits for the next boot after the one named, which it gets to by itself.
    pub fn await_boot_after(&mut self, former: &str) -> anyhow::Result<String> {
        let running = self.power.as_mut().with_context(|| format!("{} is off", self.name))?;
        let shell = running.shell.as_mut().with_context(|| format!("{} has not booted", self.name))?;
        shell.await_prompt(BOOT_LIMIT)?;
        let id = self.boot_id()?;
        ensure!(id != former, "it is still the same boot");
        Ok(id)
    }

    /// Shuts it down in order and lets it start again.
    pub fn reboot(&mut self) -> anyhow::Result<()> {
        let former = self.boot_id()?;
        self.must("systemctl reboot")?;
        self.await_boot_after(&former).map(drop)
    }

    /// Pulls the plug.
    pub fn cut_power(&mut self) -> anyhow::Result<()> {
        let mut running = self.power.take().with_context(|| format!("{} is already off", self.name))?;
        running.qemu.kill()?;
        running.qemu.wait()?;
        Ok(())
    }

    /// Plugs a USB stick with that content into it, for as long as it stays on.
    pub fn plug_in(&mut self, stick: &Path) -> anyhow::Result<()> {
        let monitor = UnixStream::connect(self.monitor())?;
        monitor.set_read_timeout(Some(LOOK))?;
        let (mut orders, mut told) = (monitor.try_clone()?, BufReader::new(monitor));
        let drive = format!("drive_add 0 if=none,id=stick,format=raw,readonly=on,file={}", stick.display());
        writeln!(orders, "{drive}\ndevice_add usb-storage,bus=usb.0,drive=stick\ninfo usb")?;
        let mut line = String::new();
        while !line.contains("Product QEMU USB MSD") {
            line.clear();
            ensure!(told.read_line(&mut line)? > 0, "the monitor of {} is gone", self.name);
            ensure!(!line.contains("Error"), "{} takes no stick: {line}", self.name);
        }
        Ok(())
    }

    /// Everything its firmware, kernel and units wrote on the serial console.
    pub fn console(&self) -> PathBuf {
        self.directory.join("console.log")
    }

    /// Waits until that is written on it so many times.
    pub fn await_on_console(&self, text: &str, times: usize) -> anyhow::Result<()> {
        let look = || {
            let written = fs::read(self.console())?;
            let found = String::from_utf8_lossy(&written).matches(text).count();
            ensure!(found >= times, "the console says '{text}' {found} times; its end:\n{}", self.console_tail());
            Ok(())
        };
        wait::until("a line on the console", BOOT_LIMIT, |_, _| {}, look).map(drop)
    }

    /// The end of it, for an error message.
    pub fn console_tail(&self) -> String {
        let text = fs::read(self.console()).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    fn firmware(&self) -> PathBuf {
        self.directory.join("firmware.fd")
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("shell")
    }

    /// Where QEMU takes orders about its hardware.
    fn monitor(&self) -> PathBuf {
        self.directory.join("monitor")
    }

    /// A program of the tools tree, which sees the lab's directories under their own paths.
    fn tool(&self, program: &str) -> Command {
        let mut command = Command::new("chroot");
        command.arg(&self.tools).arg(program);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if let Some(running) = &mut self.power {
            let _ = running.qemu.kill();
            let _ = running.qemu.wait();
        }
    }
}

fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 20, 0, 10 + number)
}

/// The link is named by its address: what firmware and kernel call it is nobody's promise.
fn network_file(number: u8) -> String {
    format!(
        "[Match]\nMACAddress=52:54:00:00:00:{number:02x}\n[Network]\nAddress={}/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\nKeepConfiguration=yes\n",
        address(number)
    )
}
