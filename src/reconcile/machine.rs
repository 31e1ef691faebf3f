//! The real host behind [`Host`]: kernel, systemd, files, etcd. Gathers and delegates; decides nothing.

use super::host::{Host, StepError};
use super::input::Drops;
use super::{Action, Desired, Observed, observe};
use crate::etcd::EtcdError;
use crate::etcd::driver::{Account, Driver, Patience};
use crate::journal::chain;
use crate::paths::Paths;
use crate::plan::Hold;
use crate::status::Status;
use crate::status::notice::Notice;
use crate::systemd::bus::{Bus, BusError};
use crate::systemd::{Unit, UnitAction, UnitState};
use crate::{etcd, network, pki, vrrp};
use std::cell::RefCell;
use std::pin::Pin;
use std::time::Duration;
use tokio::time::Instant;

/// Longest wait for one systemd job. An etcd member is ready only with a quorum, so its job may last; what is still
/// running then is seen as changing by the next look.
const JOB_DEADLINE: Duration = Duration::from_secs(10);
/// From here on whoever watches wants to know what is waited for.
const SLOW_AFTER: Duration = Duration::from_secs(2);
/// How often a long step looks whether something was dropped meanwhile.
const LOOK_FOR_INPUT: Duration = Duration::from_secs(1);
/// What a run is to systemd.
const RUN_UNIT: &str = "quorate-reconcile.service";
/// The user that quorate-etcd.service runs as (units/sysusers.conf).
const ETCD_USER: &str = "etcd";

/// This host.
#[derive(Debug)]
pub struct Machine {
    paths: Paths,
    bus: Result<Bus, BusError>,
    etcd: Driver,
    drops: Drops,
}

impl Machine {
    /// Connects to systemd; without it, unit states are unknown and everything else can still be seen.
    pub async fn new(paths: Paths) -> Self {
        Self {
            bus: Bus::connect().await,
            etcd: Driver::new(paths.clone(), Account::Named(ETCD_USER.to_owned())),
            drops: Drops::seen(&paths),
            paths,
        }
    }

    /// Tells the other masters, through etcd, how this one is.
    ///
    /// # Errors
    /// When its member does not take it; nothing depends on that.
    pub async fn publish(&self, desired: &Desired, status: &Status) -> Result<(), Box<dyn std::error::Error>> {
        let Some(notice) = Notice::of(status) else { return Ok(()) };
        let material = etcd::observe::read_material(&self.paths)?;
        Ok(etcd::survey::publish(&desired.etcd(), &material, serde_json::to_vec(&notice)?).await?)
    }

    /// Has systemd start the next run, which waits for this one's lock and then converges to what is in force by then.
    ///
    /// # Errors
    /// When systemd cannot be asked or does not want to.
    pub async fn queue_a_run(&self) -> Result<(), String> {
        let bus = self.bus.as_ref().map_err(|error| chain(error))?;
        bus.queue(RUN_UNIT).await.map_err(|error| chain(&error))
    }

    async fn unit(&self, unit: Unit) -> UnitState {
        match &self.bus {
            Ok(bus) => bus.state(unit).await,
            Err(error) => UnitState::Unknown { why: chain(error) },
        }
    }

    async fn unit_action(&self, action: UnitAction, progress: &mut dyn FnMut(&str)) -> Result<(), StepError> {
        let failed = |source| StepError::Failed { attempt: format!("could not {action}"), source };
        match &self.bus {
            Ok(bus) => {
                let job = std::pin::pin!(bus.execute(action, JOB_DEADLINE));
                told_when_slow(job, || progress(&format!("waiting for systemd to {action}"))).await.map_err(|error| {
                    match error {
                        error @ BusError::Deadline { .. } => {
                            StepError::Held { hold: Hold::Waiting, why: error.to_string() }
                        }
                        error => failed(error.into()),
                    }
                })
            }
            Err(error) => Err(failed(chain(error).into())),
        }
    }

    async fn etcd_action(
        &mut self,
        desired: &Desired,
        action: &etcd::Action,
        until: Instant,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), StepError> {
        let progress = RefCell::new(progress);
        let progress = |text: &str| (progress.borrow_mut())(text);
        let subject = desired.etcd();
        let step = self.etcd.execute(action, &subject, Patience { until, progress: &progress });
        let drops = &self.drops;
        let dropped = async {
            while !drops.changed() {
                tokio::time::sleep(LOOK_FOR_INPUT).await;
            }
        };
        tokio::select! {
            ended = step => ended.map_err(|error| match error {
                EtcdError::Waiting { whom, .. } => StepError::Held { hold: Hold::Waiting, why: whom },
                EtcdError::Refused { why, .. } => StepError::Held { hold: Hold::Refused, why },
                error => StepError::Failed { attempt: format!("could not {action}"), source: error.into() },
            }),
            () = dropped => {
                Err(StepError::Held { hold: Hold::Waiting, why: "something was dropped; the run begins again with it".into() })
            }
        }
    }
}

impl Host for Machine {
    async fn observe(&mut self, desired: &Desired) -> Observed {
        let (network, vrrpd, member) =
            tokio::join!(network::kernel::observe(), self.unit(Unit::Vrrpd), self.unit(Unit::Etcd));
        let etcd = self.etcd.observe(&desired.etcd(), member).await;
        Observed {
            pki: pki::host::observe(&self.paths, now()),
            network,
            vrrp: observe::vrrp(&self.paths, vrrpd),
            cluster: etcd::survey::survey(&desired.etcd(), &etcd).await,
            storage: observe::storage(&self.paths),
            etcd,
        }
    }

    async fn execute(
        &mut self,
        desired: &Desired,
        action: &Action,
        deadline: Instant,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), StepError> {
        match action {
            Action::Vrrp(vrrp::Action::Unit(unit)) | Action::Etcd(etcd::Action::Unit(unit)) => {
                self.unit_action(*unit, progress).await
            }
            Action::Vrrp(vrrp::Action::WriteConfig(file)) => {
                crate::durable::replace(&file.path, &file.content, file.mode, None)
                    .map_err(|error| StepError::Failed { attempt: format!("could not {action}"), source: error.into() })
            }
            Action::Etcd(step) => self.etcd_action(desired, step, deadline, progress).await,
            Action::Pki(step) => pki::host::execute(step)
                .map_err(|error| StepError::Failed { attempt: format!("could not {action}"), source: error.into() }),
        }
    }

    fn new_input(&mut self) -> bool {
        self.drops.changed()
    }
}

/// Waits for `work`, and tells so when it takes long.
async fn told_when_slow<T>(mut work: Pin<&mut impl Future<Output = T>>, tell: impl FnOnce()) -> T {
    match tokio::time::timeout(SLOW_AFTER, work.as_mut()).await {
        Ok(done) => done,
        Err(_) => {
            tell();
            work.await
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a driver: it dates what it observes")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}
