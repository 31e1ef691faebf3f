//! Carrying out one action on this host's member.
//!
//! Decides nothing but how long to go on: every action is bounded by the caller's deadline, and every await point may
//! be the last one, since what matters is durable or in etcd before it. The agent of genesis lives here, from
//! its first use to the end of the run, so that slow masters hear of a commitment while etcd starts.

use super::client::{Endpoint, GenesisRecord};
use super::genesis::peer::Agent;
use super::genesis::{Marker, marker};
use super::material::Material;
use super::membership::{Membership, PAUSE, pause};
use super::recovery::restore::Restore;
use super::{Action, Desired, EtcdError, Observed, observe, storage};
use crate::durable;
use crate::file::{Owner, RenderedFile};
use crate::paths::Paths;
use crate::systemd::UnitState;
use std::path::Path;
use tokio::time::Instant;

/// Who owns what is rendered for the unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// The system user of that name.
    Named(String),
    /// The user that runs this program: where no unit file drops privileges.
    Own,
}

/// Drives the etcd member of this host.
#[derive(Debug)]
pub struct Driver {
    paths: Paths,
    account: Account,
    agent: Option<Agent>,
}

/// Until when an action may go on, and who hears what it waits for.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// The action ends with [`EtcdError::Waiting`] by then.
    pub until: Instant,
    /// Hears a sentence whenever what is awaited changes.
    pub progress: &'a dyn Fn(&str),
}

impl std::fmt::Debug for Patience<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Patience").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Driver {
    /// A driver for the host below `paths`, whose etcd runs as `account`.
    pub fn new(paths: Paths, account: Account) -> Self {
        Self { paths, account, agent: None }
    }

    /// Looks at the member, and at the others as far as needed. Changes nothing.
    pub async fn observe(&self, desired: &Desired, unit: UnitState) -> Observed {
        observe::observe(desired, &self.paths, unit).await
    }

    /// Carries out one action; [`Action::Unit`] is the caller's, over D-Bus. May be dropped at any await point.
    ///
    /// # Errors
    /// The deadline, a refusal, or what failed.
    pub async fn execute(
        &mut self,
        action: &Action,
        desired: &Desired,
        patience: Patience<'_>,
    ) -> Result<(), EtcdError> {
        let what = action.to_string();
        match action {
            Action::Unit(_) => Ok(()),
            Action::WriteMarker { marker } => self.write_marker(marker, desired, patience).await,
            Action::Render { file } => self.render(file),
            Action::FormCluster { .. } => {
                self.agent(desired, &what, patience).await?.converse(patience.until, patience.progress).await?;
                Ok(())
            }
            Action::AwaitFormation => {
                self.agent(desired, &what, patience).await?;
                self.await_quorum(desired, &what, patience).await
            }
            Action::AddLearner { cluster, peer_url } => {
                self.membership(desired, &self.material()?, &what, patience).add_learner(*cluster, peer_url).await
            }
            Action::RemoveMember { cluster, entry } => {
                self.membership(desired, &self.material()?, &what, patience).remove(*cluster, entry).await
            }
            Action::Promote { cluster, member } => {
                self.membership(desired, &self.material()?, &what, patience).promote(*cluster, *member).await
            }
            Action::ArchiveData { name } => self.archive(name),
            Action::Recovery(step) => {
                let (paths, owner) = (&self.paths, self.owner(Owner::Etcd)?);
                Restore { desired, paths, owner, material: &self.material()?, what: &what, patience }
                    .execute(step)
                    .await
            }
            Action::RecordFormed { etcd, member, round } => {
                if let Some(round) = round {
                    let record = GenesisRecord { etcd: format!("{etcd:x}"), round: round.clone() };
                    self.record_genesis(&record, desired, &what, patience).await?;
                }
                let formed = Marker::Formed { cluster: desired.cluster.clone(), etcd: *etcd, member: *member };
                marker::write(&self.paths, &formed)?;
                self.agent = None;
                Ok(())
            }
        }
    }

    /// A start in genesis keeps the agent, so that a master that prepared and was away hears of the commitment.
    async fn write_marker(
        &mut self,
        marker: &Marker,
        desired: &Desired,
        patience: Patience<'_>,
    ) -> Result<(), EtcdError> {
        if matches!(marker, Marker::Executed { .. })
            && let Err(error) =
                self.agent(desired, "listening for stragglers", Patience { until: Instant::now(), ..patience }).await
        {
            // The record in etcd tells them later; the start does not depend on this.
            (patience.progress)(&format!("{error}, ignoring"));
        }
        if matches!(marker, Marker::Executed { .. } | Marker::Joining { .. }) {
            storage::note(&self.paths)?;
        }
        Ok(marker::write(&self.paths, marker)?)
    }

    fn membership<'a>(
        &'a self,
        desired: &'a Desired,
        material: &'a Material,
        what: &'a str,
        patience: Patience<'a>,
    ) -> Membership<'a> {
        Membership { desired, paths: &self.paths, material, what, patience }
    }

    /// One rename inside the data directory, so that it also works where that is a partition of its own.
    fn archive(&self, name: &str) -> Result<(), EtcdError> {
        let data = self.paths.etcd_data();
        let place = data.join("archive").join(name);
        let failed = |attempt: &'static str, path: &Path| {
            let path = path.to_owned();
            move |source| EtcdError::File { attempt, path, source }
        };
        std::fs::create_dir_all(&place).map_err(failed("create", &place))?;
        match std::fs::rename(data.join("member"), place.join("member")) {
            // A run that was killed right after the rename.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            moved => moved.map_err(failed("move the data to", &place))?,
        }
        durable::sync_directory(&place)?;
        Ok(durable::sync_directory(&data)?)
    }

    /// User and group of what belongs to `owner`, where that is not whoever runs this program.
    fn owner(&self, owner: Owner) -> Result<Option<(u32, u32)>, EtcdError> {
        Ok(match (&self.account, owner) {
            (Account::Own, _) | (_, Owner::Root) => None,
            (Account::Named(name), Owner::Etcd) => {
                let user = nix::unistd::User::from_name(name).ok().flatten();
                let user = user.ok_or_else(|| EtcdError::NoUser(name.clone()))?;
                Some((user.uid.as_raw(), user.gid.as_raw()))
            }
        })
    }

    fn render(&self, file: &RenderedFile) -> Result<(), EtcdError> {
        let owner = self.owner(file.owner)?;
        if let Some(directory) = file.path.parent().filter(|directory| !directory.exists()) {
            // The image makes it, for the unit's user alone; elsewhere the files guard themselves.
            durable::directory(directory, 0o755)?;
        }
        Ok(durable::replace(&file.path, &file.content, file.mode, owner)?)
    }

    /// The agent for `desired`, listening.
    async fn agent(&mut self, desired: &Desired, what: &str, patience: Patience<'_>) -> Result<&Agent, EtcdError> {
        let agent = match self.agent.take().filter(|agent| agent.desired() == desired) {
            Some(agent) => agent,
            None => self.listen(desired, what, patience).await?,
        };
        Ok(self.agent.insert(agent))
    }

    /// The address may not be there yet on first boot, so it is tried until the deadline.
    async fn listen(&self, desired: &Desired, what: &str, patience: Patience<'_>) -> Result<Agent, EtcdError> {
        let material = self.material()?;
        let mut said = String::new();
        loop {
            match Agent::listen(desired, &self.paths, &material).await {
                Err(EtcdError::Listen { address, source }) if Instant::now() + PAUSE < patience.until => {
                    pause(what, format!("the address {address} ({source})"), &mut said, patience).await?;
                }
                done => return done,
            }
        }
    }

    /// The record is made once, by whoever is first; an election may be under way, so it is tried until the deadline.
    async fn record_genesis(
        &self,
        record: &GenesisRecord,
        desired: &Desired,
        what: &str,
        patience: Patience<'_>,
    ) -> Result<(), EtcdError> {
        let material = self.material()?;
        let mut said = String::new();
        loop {
            let write =
                async { Endpoint::open(&desired.me, desired.address, &material).await?.record_genesis(record).await };
            match write.await {
                Ok(()) => return Ok(()),
                Err(error) => pause(what, error.to_string(), &mut said, patience).await?,
            }
        }
    }

    async fn await_quorum(&self, desired: &Desired, what: &str, patience: Patience<'_>) -> Result<(), EtcdError> {
        let material = self.material()?;
        let mut said = String::new();
        loop {
            let read = async { Endpoint::open(&desired.me, desired.address, &material).await?.view().await };
            match read.await {
                Ok(_) => return Ok(()),
                Err(error) => pause(what, error.to_string(), &mut said, patience).await?,
            }
        }
    }

    fn material(&self) -> Result<Material, EtcdError> {
        observe::read_material(&self.paths).map_err(|why| EtcdError::Refused { what: "speaking to etcd".into(), why })
    }
}
