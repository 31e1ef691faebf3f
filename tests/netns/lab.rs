//! Namespaces, a bridge, and daemons in them. Everything is removed when the lab is dropped, also after a failed test; the
//! daemons die with the thread of their test.

use crate::wait::{until, until_true};
use quorate::vrrp::machine;
use quorate::vrrp::state::{RouterState, State};
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// Set by cargo: the daemon built with these tests.
const DAEMON: &str = env!("CARGO_BIN_EXE_quorate-vrrpd");
/// The virtual addresses of most tests.
pub const VIP: &str = "10.9.0.100";

static LABS: AtomicU32 = AtomicU32::new(0);

/// A bridge with masters on it.
pub struct Lab {
    name: String,
    pub place: tempfile::TempDir,
    pub hosts: Vec<Host>,
}

/// One namespace on the bridge.
pub struct Host {
    pub netns: String,
    pub config: PathBuf,
    pub state: PathBuf,
    daemon: Option<Child>,
    name: String,
}

/// Whether these tests can run here; says so if not.
pub fn possible() -> bool {
    let works = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|s| s.success())
    };
    let missing = if !nix::unistd::geteuid().is_root() {
        "not root"
    } else if !works("ip", &["netns", "list"]) {
        "no 'ip netns'"
    } else if !works("chrt", &["--fifo", "20", "true"]) {
        "no real-time scheduling"
    } else if !works("nft", &["list", "tables"]) {
        "no working 'nft'"
    } else {
        return true;
    };
    println!("SKIPPED VRRP on real wires: {missing}");
    false
}

/// Runs a command and returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

impl Lab {
    /// A bridge with `masters` hosts on it, at 10.9.0.11 and up.
    pub fn new(masters: usize) -> Self {
        let name = format!("q{}x{}", std::process::id(), LABS.fetch_add(1, Ordering::Relaxed));
        let mut lab = Self { name: name.clone(), place: tempfile::tempdir().unwrap(), hosts: Vec::new() };
        run("ip", &["netns", "add", &name]);
        // Without querier and delay: the bridge is a wire.
        run("ip", &["-n", &name, "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0"]);
        run("ip", &["-n", &name, "link", "set", "br0", "up"]);
        for number in 0..masters {
            lab.add(&format!("m{}", number + 1), 11 + number);
        }
        lab
    }

    /// Puts one more host on the bridge and returns its place.
    pub fn add(&mut self, short: &str, last_octet: usize) -> usize {
        let netns = format!("{}{short}", self.name);
        run("ip", &["netns", "add", &netns]);
        let host = Host {
            config: self.place.path().join(format!("{short}.json")),
            state: self.place.path().join(format!("{short}.state.json")),
            netns: netns.clone(),
            daemon: None,
            name: short.to_owned(),
        };
        self.hosts.push(host);
        let port = format!("p{short}");
        run(
            "ip",
            &["link", "add", "eth0", "netns", &netns, "type", "veth", "peer", "name", &port, "netns", &self.name],
        );
        run("ip", &["-n", &self.name, "link", "set", &port, "master", "br0", "up"]);
        // Duplicate detection would keep the link-local address tentative for a second or two.
        run("ip", &["netns", "exec", &netns, "sysctl", "-qw", "net.ipv6.conf.eth0.accept_dad=0"]);
        run("ip", &["-n", &netns, "link", "set", "lo", "up"]);
        run("ip", &["-n", &netns, "link", "set", "eth0", "up"]);
        run("ip", &["-n", &netns, "addr", "add", &format!("10.9.0.{last_octet}/24"), "dev", "eth0"]);
        self.hosts.len() - 1
    }

    /// Every host runs one router, with priorities falling from 254, changed by `changes`.
    pub fn start(&mut self, changes: &Value) {
        for at in 0..self.hosts.len() {
            self.hosts[at].configure(&[router(254 - u8::try_from(at).unwrap(), changes)]);
            self.hosts[at].start();
        }
    }

    /// Waits until exactly one host is Active and every other running one is Backup, and returns it.
    pub fn settled(&self) -> usize {
        until("exactly one Active", || {
            let states: Vec<_> = self.hosts.iter().map(|host| host.router().map(|router| router.state)).collect();
            let running = |state: &&Option<machine::State>| state.is_some();
            let count = states.iter().filter(|state| **state == Some(machine::State::Active)).count();
            let settled = states.iter().filter(running).all(|state| *state != Some(machine::State::Initialize));
            let active = states.iter().position(|state| *state == Some(machine::State::Active));
            active.filter(|_| count == 1 && settled)
        })
    }

    /// Takes the port of a host on the bridge up or down.
    pub fn port(&self, host: usize, state: &str) {
        run("ip", &["-n", &self.name, "link", "set", &format!("p{}", self.hosts[host].name), state]);
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for host in &mut self.hosts {
            host.kill();
            let _ = Command::new("ip").args(["netns", "del", &host.netns]).status();
        }
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// The document of one router.
pub fn router(priority: u8, changes: &Value) -> Value {
    let mut router = json!({
        "vrid": 51, "link": "eth0", "priority": priority, "unhealthyPriority": priority.saturating_sub(16).max(1),
        "healthyFrom": 252, "advertIntervalCs": 10, "preempt": "never", "transport": "multicast", "addresses": [VIP]
    });
    router.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    router
}

impl Host {
    /// Writes the configuration.
    pub fn configure(&self, routers: &[Value]) {
        self.configure_whole(&json!({ "routers": routers }));
    }

    /// Writes the whole document.
    pub fn configure_whole(&self, document: &Value) {
        std::fs::write(&self.config, document.to_string()).unwrap();
    }

    /// Loads the fence as the unit does, and starts the daemon.
    pub fn start(&mut self) {
        let config = self.config.display();
        self.sh(&format!("{DAEMON} --fence {config} | nft -f -"));
        self.start_without_fence();
    }

    /// Starts the daemon and waits for its state.
    pub fn start_without_fence(&mut self) {
        let log = std::fs::File::create(self.config.with_extension("log")).unwrap();
        // exec after exec, so that the child is the daemon itself; it dies with this thread.
        let child = Command::new("setpriv")
            // Real-time as in its unit: what else this machine does must not decide who is Active.
            .args([
                "--pdeathsig",
                "KILL",
                "chrt",
                "--fifo",
                "20",
                "ip",
                "netns",
                "exec",
                &self.netns,
                DAEMON,
                "--config",
            ])
            .arg(&self.config)
            .arg("--state")
            .arg(&self.state)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.daemon = Some(child);
        let state = self.state.clone();
        until("the daemon's state", || std::fs::read(&state).ok());
    }

    /// What the unit does after the daemon ended.
    pub fn release(&self) {
        let config = self.config.display();
        self.sh(&format!("{DAEMON} --release {config}; nft delete table netdev quorate_vrrp"));
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.daemon.as_ref().unwrap().id()).unwrap())
    }

    /// Ends the daemon as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
            let _ = std::fs::remove_file(&self.state);
        }
    }

    /// The daemon's guardian.
    pub fn guardian(&self) -> nix::unistd::Pid {
        let pid = self.pid();
        until("the guardian", || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            tasks.flatten().find_map(|task| {
                let children = std::fs::read_to_string(task.path().join("children")).ok()?;
                children.split_whitespace().next()?.parse().ok().map(nix::unistd::Pid::from_raw)
            })
        })
    }

    /// Ends the daemon and its guardian at once, as the loss of power does, but leaves what the kernel holds.
    pub fn kill_with_guardian(&mut self) {
        let guardian = self.guardian();
        nix::sys::signal::kill(guardian, nix::sys::signal::Signal::SIGKILL).unwrap();
        self.kill();
    }

    /// Ends the daemon in order.
    pub fn stop(&mut self) {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        assert!(self.daemon.take().unwrap().wait().unwrap().success(), "{}", self.log());
    }

    /// What the daemon says of itself.
    pub fn state(&self) -> Option<State> {
        serde_json::from_slice(&std::fs::read(&self.state).ok()?).ok()
    }

    /// Its first router.
    pub fn router(&self) -> Option<RouterState> {
        self.state()?.routers.into_iter().next()
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.config.with_extension("log")).unwrap_or_default()
    }

    /// Waits until its router is in a state.
    pub fn comes_to(&self, state: machine::State) {
        until_true(&format!("{} to be {state:?}", self.name), || {
            self.router().is_some_and(|router| router.state == state)
        });
    }

    /// Whether an address is on its link.
    pub fn has(&self, address: &str) -> bool {
        run("ip", &["-n", &self.netns, "-o", "addr", "show", "dev", "eth0"]).contains(&format!(" {address}/"))
    }

    /// Runs a shell line inside.
    pub fn sh(&self, line: &str) -> String {
        run("ip", &["netns", "exec", &self.netns, "sh", "-c", line])
    }

    /// Its own IPv4 address.
    pub fn address(&self) -> IpAddr {
        format!("10.9.0.{}", 10 + self.name[1..].parse::<u8>().unwrap()).parse().unwrap()
    }

    /// The MAC address of its link.
    pub fn mac(&self) -> String {
        self.sh("cat /sys/class/net/eth0/address").trim().to_owned()
    }
}
