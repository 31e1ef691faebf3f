//! Daemons on the hosts of a lab (`tests/wire`), each with its configuration, its state and its log, and what tests ask of them.

use crate::wait::{until, until_true};
use crate::wire::{self, quorate, world};
use ::quorate::vrrp::machine;
use ::quorate::vrrp::state::{RouterState, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The virtual address of most tests.
pub const VIP: &str = "10.77.0.100";

/// A switch with masters on it.
pub struct Lab {
    pub hosts: Vec<Host>,
    pub wires: wire::Lab,
    pub place: tempfile::TempDir,
}

/// One master.
pub struct Host {
    pub wire: wire::Host,
    pub config: PathBuf,
    pub state: PathBuf,
    daemon: Option<Child>,
}

/// Runs the body of a test in a world of its own, or says why that cannot be.
pub fn on_wires<Body: FnOnce()>(body: Body) {
    // The crate comes first and the closure last: what is between is how the test runner calls the test.
    let name = std::any::type_name::<Body>().trim_end_matches("::{{closure}}");
    let name = name.split_once("::").map_or(name, |(_, name)| name);
    world::test(name, &["ip", "nft", "chrt"], body);
}

impl Lab {
    /// A switch with so many hosts, at 10.77.0.1 and up.
    pub fn new(masters: u8) -> Self {
        let (mut wires, place) = (wire::Lab::new(masters), tempfile::tempdir().unwrap());
        let hosts = wires.hosts.drain(..).map(|wire| Host::new(wire, place.path())).collect();
        Self { hosts, wires, place }
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

    /// Takes the port of a host on the switch up or down.
    pub fn port(&self, host: usize, state: &str) {
        self.wires.switch.run(&format!("ip link set p{host} {state}"));
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
    fn new(wire: wire::Host, place: &Path) -> Self {
        let name = format!("m{}", wire.index + 1);
        let file = |kind: &str| place.join(format!("{name}.{kind}"));
        Self { wire, config: file("json"), state: file("state.json"), daemon: None }
    }

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
        self.load_fence();
        self.start_without_fence();
    }

    /// Loads the fence as the unit does.
    pub fn load_fence(&self) {
        assert!(quorate::load_fence(&self.wire, &self.config), "{} is not fenced", self.config.display());
    }

    /// Starts the daemon and waits for its state.
    pub fn start_without_fence(&mut self) {
        self.start_with(&[]);
    }

    /// The same, with these environment variables.
    pub fn start_with(&mut self, environment: &[(&str, &Path)]) {
        let log = std::fs::File::create(self.config.with_extension("log")).unwrap();
        let mut command = quorate::command(&self.config, &self.state);
        command.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.daemon = Some(self.wire.namespace.within(|| command.spawn().unwrap()));
        let state = self.state.clone();
        until("the daemon's state", || std::fs::read(&state).ok());
    }

    /// What the unit does after the daemon ended.
    pub fn release(&self) {
        let config = self.config.display();
        self.sh(&format!("{} --release {config}; nft delete table netdev quorate_vrrp", quorate::PROGRAM));
    }

    /// Sends the daemon a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.daemon.as_ref().unwrap().id()).unwrap())
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
    pub fn guardian(&self) -> Pid {
        let pid = self.pid();
        until("the guardian", || {
            let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).ok()?;
            tasks.flatten().find_map(|task| {
                let children = std::fs::read_to_string(task.path().join("children")).ok()?;
                children.split_whitespace().next()?.parse().ok().map(Pid::from_raw)
            })
        })
    }

    /// Ends the daemon and its guardian at once, as the loss of power does, but leaves what the kernel holds.
    pub fn kill_with_guardian(&mut self) {
        kill(self.guardian(), Signal::SIGKILL).unwrap();
        self.kill();
    }

    /// Ends the daemon in order.
    pub fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
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
        until_true(&format!("{} to be {state:?}", self.wire.v4), || {
            self.router().is_some_and(|router| router.state == state)
        });
    }

    /// Whether an address is on one of its links.
    pub fn has(&self, address: &str) -> bool {
        self.wire.holds(address.parse().unwrap())
    }

    /// Runs a shell line inside, requires that it succeeds, and returns what it printed.
    pub fn sh(&self, line: &str) -> String {
        let output = self.wire.namespace.within(|| Command::new("sh").args(["-c", line]).output().unwrap());
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Its own IPv4 address.
    pub fn address(&self) -> IpAddr {
        self.wire.v4.into()
    }

    /// The MAC address of its link.
    pub fn mac(&self) -> String {
        crate::witness::mac(&self.wire.mac())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
    }
}
