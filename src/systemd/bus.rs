//! Talks to systemd over D-Bus: reads unit states, queues jobs, and waits for each with a deadline.

use super::{Unit, UnitAction, UnitState, Verb};
use futures_util::StreamExt;
use std::time::Duration;
use systemd_zbus::{ActiveState, ManagerProxy, Mode, ServiceProxy, UnitProxy};
use zbus::Connection;

/// Why systemd did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// No system bus, or systemd is not on it.
    #[error("cannot reach systemd on the system bus")]
    Connect(#[source] zbus::Error),
    /// A request was refused.
    #[error("systemd refused to {action}")]
    Refused {
        /// What was asked.
        action: UnitAction,
        /// Its answer.
        #[source]
        source: zbus::Error,
    },
    /// The job ended in another way than done.
    #[error("systemd could not {action}: the job ended '{result}'; see 'journalctl -u {}'", action.unit)]
    Job {
        /// What was asked.
        action: UnitAction,
        /// systemd's word for the end of the job.
        result: String,
    },
    /// A unit could not be queued.
    #[error("systemd does not start {unit}")]
    Queue {
        /// Which.
        unit: &'static str,
        /// Its answer.
        #[source]
        source: zbus::Error,
    },
    /// The job is still running.
    #[error("systemd has not finished to {action} after {} s; see 'systemctl list-jobs'", waited.as_secs())]
    Deadline {
        /// What was asked.
        action: UnitAction,
        /// How long it was waited for.
        waited: Duration,
    },
}

/// A connection to the system's service manager.
#[derive(Debug)]
pub struct Bus {
    connection: Connection,
    manager: ManagerProxy<'static>,
}

impl Bus {
    /// Connects and subscribes to job signals.
    ///
    /// # Errors
    /// When there is no system bus.
    pub async fn connect() -> Result<Self, BusError> {
        let connection = Connection::system().await.map_err(BusError::Connect)?;
        let manager = ManagerProxy::new(&connection).await.map_err(BusError::Connect)?;
        manager.subscribe().await.map_err(BusError::Connect)?;
        Ok(Self { connection, manager })
    }

    /// The state of `unit` as systemd has it now.
    pub async fn state(&self, unit: Unit) -> UnitState {
        self.read_state(unit).await.unwrap_or_else(|error| UnitState::Unknown { why: error.to_string() })
    }

    async fn read_state(&self, unit: Unit) -> zbus::Result<UnitState> {
        // LoadUnit answers for units that are on disk but not in memory; GetUnit would not.
        let path = self.manager.load_unit(unit.name()).await?;
        let proxy = UnitProxy::builder(&self.connection).path(path.clone())?.build().await?;
        if proxy.load_state().await? != "loaded" {
            return Ok(UnitState::Missing);
        }
        Ok(match proxy.active_state().await? {
            ActiveState::Active => UnitState::Active,
            ActiveState::Inactive => UnitState::Inactive,
            ActiveState::Failed => {
                let service = ServiceProxy::builder(&self.connection).path(path)?.build().await?;
                UnitState::Failed { result: service.result().await? }
            }
            ActiveState::Reloading | ActiveState::Activating | ActiveState::Deactivating | ActiveState::Maintenance => {
                UnitState::Changing
            }
        })
    }

    /// Has `unit` started and does not wait for it.
    ///
    /// # Errors
    /// When systemd refuses.
    pub async fn queue(&self, unit: &'static str) -> Result<(), BusError> {
        let queued = self.manager.start_unit(unit, Mode::Replace).await;
        queued.map(drop).map_err(|source| BusError::Queue { unit, source })
    }

    /// Carries out `action` and waits until systemd reports its job done.
    ///
    /// # Errors
    /// When systemd refuses, the job fails, or `deadline` passes first; the job then goes on in systemd.
    pub async fn execute(&self, action: UnitAction, deadline: Duration) -> Result<(), BusError> {
        let refused = |source| BusError::Refused { action, source };
        // Listen before asking: a job can be over before its path has been read.
        let mut removed = self.manager.receive_job_removed().await.map_err(refused)?;
        let name = action.unit.name();
        let job = match action.verb {
            Verb::Start => self.manager.start_unit(name, Mode::Replace).await,
            Verb::ResetAndStart => {
                self.manager.reset_failed_unit(name).await.map_err(refused)?;
                self.manager.start_unit(name, Mode::Replace).await
            }
            Verb::Reload => self.manager.reload_unit(name, Mode::Replace).await,
            Verb::Stop => self.manager.stop_unit(name, Mode::Replace).await,
        }
        .map_err(refused)?;
        let ended = async {
            while let Some(signal) = removed.next().await {
                let Ok(ended) = signal.args() else { continue };
                if ended.job.as_str() == job.as_str() {
                    return ended.result.to_owned();
                }
            }
            "bus closed".to_owned()
        };
        match tokio::time::timeout(deadline, ended).await {
            Ok(result) if result == "done" => Ok(()),
            Ok(result) => Err(BusError::Job { action, result }),
            Err(_) => Err(BusError::Deadline { action, waited: deadline }),
        }
    }
}
