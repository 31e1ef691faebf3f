//! One master: its disk, its etcd process in the place of `quorate-etcd.service`, and the reconcile loop.

use crate::world::{World, address, desired, name};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use quorate::etcd::driver::{Account, Driver, Patience};
use quorate::etcd::summary::Summary;
use quorate::etcd::{self, Action, Desired, EtcdError, Observed};
use quorate::paths::Paths;
use quorate::plan::{Hold, Plan};
use quorate::systemd::{Unit, UnitAction, UnitState, Verb};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::UnixDatagram;
use tokio::time::{Instant, sleep, timeout};

/// Only a bound: a calm machine needs a few seconds, one that runs five suites at once needs minutes.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// Pause between two looks while only waits are left, as reconcile makes it.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long a run waits for a start job, less than the real one: etcd goes on starting without it.
const JOB_DEADLINE: Duration = Duration::from_secs(3);
/// TimeoutStopSec= of the unit.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// Thirty seconds in which a living master may leave by itself are one.
const HURRY: u32 = 30;

pub struct Host {
    pub desired: Desired,
    pub paths: Paths,
    pub log: Vec<String>,
    /// Put over the rendered environment: what somebody else than quorate would write there.
    pub by_hand: Vec<(&'static str, String)>,
    /// How fast the time runs in which quorate watches somebody stand still.
    pub hurry: u32,
    /// The etcd of this host's image.
    pub binary: PathBuf,
    driver: Driver,
    unit: Option<Process>,
    /// What systemd says while nothing runs.
    ended: UnitState,
    born: Instant,
}

struct Process {
    child: Child,
    notify: UnixDatagram,
    ready: bool,
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// How a run of the loop ended.
#[derive(Debug)]
pub enum Ended {
    Converged,
    Blocked(Plan<Action>),
    Failed(EtcdError),
}

impl Host {
    pub fn new(world: &World, me: u8, masters: &[u8]) -> Self {
        let root = world.place.path().join(name(me).as_str());
        let paths = Paths::below(&root);
        for directory in [paths.etcd_data(), paths.run(), paths.state()] {
            std::fs::create_dir_all(directory).unwrap();
        }
        let tool = paths.etcdutl();
        std::fs::create_dir_all(tool.parent().unwrap()).unwrap();
        let _kept = std::os::unix::fs::symlink(world.etcd.with_file_name("etcdutl"), tool);
        world.issue(&paths.node_pki(), name(me).as_str(), address(me));
        Self {
            desired: desired(me, masters, 1),
            driver: Driver::new(paths.clone(), Account::Own),
            paths,
            log: Vec::new(),
            by_hand: Vec::new(),
            hurry: HURRY,
            binary: world.etcd.clone(),
            unit: None,
            ended: UnitState::Inactive,
            born: Instant::now(),
        }
    }

    /// Observe, plan, execute, until nothing is left to do or `patience` runs out.
    pub async fn reconcile(&mut self, patience: Duration) -> Ended {
        let until = Instant::now() + patience;
        loop {
            let plan = self.plan().await;
            if plan.is_empty() {
                return Ended::Converged;
            }
            for step in &plan.steps {
                match self.execute(&step.action, until).await {
                    Ok(()) => {}
                    Err(EtcdError::Waiting { .. }) if Instant::now() < until => break,
                    Err(error) => return Ended::Failed(error),
                }
            }
            // A start that failed is tried again, as reconcile's timer does.
            if plan.steps.is_empty() || matches!(self.unit_state(), UnitState::Failed { .. }) {
                if is_refused(&plan) || Instant::now() >= until {
                    let log = std::fs::read_to_string(self.paths.state().join("etcd.log")).unwrap_or_default();
                    log.lines().rev().take(5).for_each(|line| println!("{}: etcd: {line}", self.desired.me));
                    return Ended::Blocked(plan);
                }
                sleep(LOOK_AGAIN).await;
            }
        }
    }

    /// The same, until `steps` steps are done; then `cut` strikes.
    pub async fn reconcile_until(&mut self, cut: Cut, steps: usize, patience: Duration) -> usize {
        let until = Instant::now() + patience;
        let mut done = 0;
        while done < steps && Instant::now() < until {
            let plan = self.plan().await;
            if plan.is_empty() || is_refused(&plan) {
                break;
            }
            for step in plan.steps.iter().take(steps - done) {
                if self.execute(&step.action, until).await.is_err() {
                    break;
                }
                done += 1;
            }
            if plan.steps.is_empty() {
                sleep(LOOK_AGAIN).await;
            }
        }
        println!("{}: {cut:?} after {done} steps", self.desired.me);
        match cut {
            Cut::Power => self.crash(),
            Cut::Etcd if self.unit.is_some() => self.kill_etcd(),
            Cut::Etcd => {}
            Cut::Quorate => self.restart_quorate(),
        }
        done
    }

    /// The same, until the host runs as a learner whose vote would be asked for next.
    pub async fn reconcile_to_learner(&mut self, patience: Duration) {
        let until = Instant::now() + patience;
        loop {
            assert!(Instant::now() < until, "{} never became a learner", self.desired.me);
            let plan = self.plan().await;
            if plan.steps.iter().any(|step| matches!(step.action, Action::Promote { .. })) {
                return;
            }
            for step in &plan.steps {
                if self.execute(&step.action, until).await.is_err() {
                    break;
                }
            }
            sleep(LOOK_AGAIN).await;
        }
    }

    pub async fn observe(&mut self) -> Observed {
        let unit = self.unit_state();
        let mut seen = self.driver.observe(&self.desired, unit).await;
        seen.watched.still.values_mut().for_each(|still| *still *= self.hurry);
        seen
    }

    pub async fn plan(&mut self) -> Plan<Action> {
        let seen = self.observe().await;
        etcd::plan::plan(&self.desired, &seen)
    }

    /// The first plan that is `awaited`. On the way there only waiting is right: a busy member answers one look later.
    pub async fn plan_that(&mut self, what: &str, awaited: impl Fn(&Plan<Action>) -> bool) -> Plan<Action> {
        let until = Instant::now() + PATIENCE;
        loop {
            let plan = self.plan().await;
            if awaited(&plan) {
                return plan;
            }
            assert!(plan.steps.is_empty() && Instant::now() < until, "{}: no plan {what}: {plan:?}", self.desired.me);
            sleep(LOOK_AGAIN).await;
        }
    }

    pub async fn summary(&mut self) -> Summary {
        let seen = self.observe().await;
        etcd::survey::survey(&self.desired, &seen).await
    }

    pub async fn execute(&mut self, action: &Action, until: Instant) -> Result<(), EtcdError> {
        let name = self.desired.me.clone();
        println!("[{:.3}] {name}: {action}", self.born.elapsed().as_secs_f64());
        self.log.push(action.to_string());
        if let Action::Unit(unit) = action {
            match unit.verb {
                Verb::Start | Verb::ResetAndStart => self.start(until).await,
                Verb::Stop => {
                    self.stop().await;
                    self.ended = UnitState::Inactive;
                }
                Verb::Reload => unreachable!("etcd has nothing to reload"),
            }
            return Ok(());
        }
        let born = self.born;
        let progress = |what: &str| println!("[{:.3}] {name}: {what}", born.elapsed().as_secs_f64());
        self.driver.execute(action, &self.desired, Patience { until, progress: &progress }).await
    }

    /// What the stop job does: SIGTERM, and SIGKILL to what is left.
    async fn stop(&mut self) {
        let Some(mut process) = self.unit.take() else { return };
        let pid = nix::unistd::Pid::from_raw(i32::try_from(process.child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        let until = Instant::now() + STOP_TIMEOUT;
        while process.child.try_wait().unwrap().is_none() && Instant::now() < until {
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a run does at its end: a notice to the others, and how far the member is.
    pub async fn publish(&self) {
        let material = etcd::observe::read_material(&self.paths).unwrap();
        let member = etcd::survey::publish(&self.desired, &material, b"{}".to_vec()).await.unwrap();
        etcd::highwater::mark::note(&self.paths, &member).unwrap();
    }

    /// SIGKILL to etcd alone.
    pub fn kill_etcd(&mut self) {
        self.unit = None;
        self.ended = UnitState::Failed { result: "signal".into() };
    }

    /// Stops or continues every thread of etcd: its sockets stay open and nothing answers.
    pub fn signal_etcd(&self, signal: Signal) {
        let process = self.unit.as_ref().expect("etcd runs");
        kill(Pid::from_raw(process.child.id().try_into().unwrap()), signal).unwrap();
    }

    /// The process of etcd, to see that it is still the same one.
    pub fn etcd_pid(&self) -> Option<u32> {
        self.unit.as_ref().map(|process| process.child.id())
    }

    /// Starts etcd with what is rendered, whatever a plan would say.
    pub async fn start_by_hand(&mut self, patience: Duration) {
        let start = Action::Unit(UnitAction { unit: Unit::Etcd, verb: Verb::Start });
        self.execute(&start, Instant::now() + patience).await.unwrap();
    }

    /// A manifest of `masters` arrives.
    pub fn accept(&mut self, masters: &[u8], generation: u64) {
        let me = self.desired.me.as_str()[1..].parse().unwrap();
        self.desired = desired(me, masters, generation);
    }

    /// A new quorate process: what only lived in memory is gone.
    pub fn restart_quorate(&mut self) {
        self.driver = Driver::new(self.paths.clone(), Account::Own);
    }

    /// SIGKILL to etcd and to quorate, as a power cut does; /run is empty afterwards.
    pub fn crash(&mut self) {
        self.unit = None;
        self.ended = UnitState::Inactive;
        self.restart_quorate();
        std::fs::remove_dir_all(self.paths.run()).unwrap();
        std::fs::create_dir_all(self.paths.run()).unwrap();
    }

    /// The host is reinstalled: no data, no marker, the same key material from the same drop.
    pub fn wipe(&mut self) {
        self.crash();
        for directory in [self.paths.etcd_data(), self.paths.markers()] {
            if directory.exists() {
                std::fs::remove_dir_all(&directory).unwrap();
            }
        }
        std::fs::create_dir_all(self.paths.etcd_data()).unwrap();
    }

    fn unit_state(&mut self) -> UnitState {
        if let Some(process) = &mut self.unit {
            process.hear();
            match (process.child.try_wait().unwrap(), process.ready) {
                (None, true) => return UnitState::Active,
                (None, false) => return UnitState::Changing,
                (Some(status), true) if status.success() => self.ended = UnitState::Inactive,
                // systemd calls leaving before READY=1 a violation of the protocol, whatever the exit code.
                (Some(_), ready) => {
                    let result = if ready { "exit-code" } else { "protocol" };
                    self.ended = UnitState::Failed { result: result.into() };
                }
            }
            self.unit = None;
        }
        self.ended.clone()
    }

    /// What the start job does: the environment file, the program, and waiting for READY=1.
    async fn start(&mut self, until: Instant) {
        let environment = std::fs::read_to_string(self.paths.etcd_run().join("environment")).unwrap();
        let socket = self.paths.run().join("notify");
        let _old = std::fs::remove_file(&socket);
        let notify = UnixDatagram::bind(&socket).unwrap();
        let log = std::fs::File::create(self.paths.state().join("etcd.log")).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.binary)
            .env_clear()
            .env("NOTIFY_SOCKET", &socket)
            .envs(environment.lines().filter_map(|line| line.split_once('=')))
            .envs(self.by_hand.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.unit = Some(Process { child, notify, ready: false });
        let until = until.min(Instant::now() + JOB_DEADLINE);
        while Instant::now() < until && self.unit_state() == UnitState::Changing {
            let Some(process) = &self.unit else { return };
            let _heard = timeout(Duration::from_millis(100), process.notify.readable()).await;
        }
    }
}

/// What is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// Everything, and /run with it.
    Power,
    /// SIGKILL to etcd.
    Etcd,
    /// SIGKILL to quorate; etcd goes on.
    Quorate,
}

/// Nothing to do, and nothing that ends by itself.
fn is_refused(plan: &Plan<Action>) -> bool {
    plan.steps.is_empty() && plan.blocked.iter().all(|blocked| blocked.hold == Hold::Refused)
}

impl Process {
    fn hear(&mut self) {
        let mut message = [0; 256];
        while let Ok(length) = self.notify.try_recv(&mut message) {
            self.ready |= message[..length].starts_with(b"READY=1");
        }
    }
}
