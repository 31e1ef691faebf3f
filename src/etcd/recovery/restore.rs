//! Carrying out the steps of a recovery: affirming the loss, restoring the data, recording what came of it.
//!
//! Each step is finished by repeating it. The restored data is made beside the data directory's old place, synced, and
//! moved in by one rename, so that what lies there is always whole.

use super::plan::running;
use super::{Action, Begun, Recovered, Stage};
use crate::durable;
use crate::etcd::client::Endpoint;
use crate::etcd::cluster::PeerSeen;
use crate::etcd::driver::Patience;
use crate::etcd::genesis::{Marker, Nonce, marker};
use crate::etcd::material::Material;
use crate::etcd::membership::pause;
use crate::etcd::{Desired, EtcdError, peer_url, probe, snapshot};
use crate::ident::{Digest, NodeName};
use crate::paths::Paths;
use crate::quorum::quorum;
use futures_util::future::join_all;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long the loss has to be seen without a break: ten elections, each of which would bring a quorum that exists back.
const AFFIRMED_AFTER: Duration = Duration::from_secs(10);
/// Between two looks at all masters.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// By how much revisions jump, so that none is ever seen twice with different content. Kubernetes' guidance for restores;
/// a cluster that writes a thousand times a second needs eleven days for as many.
const REVISIONS: &str = "1000000000";

/// One step of a recovery, and for how long it may go on.
#[derive(Debug)]
pub struct Restore<'a> {
    /// This master.
    pub desired: &'a Desired,
    /// Its files.
    pub paths: &'a Paths,
    /// Who owns etcd's data.
    pub owner: Option<(u32, u32)>,
    /// Its key material.
    pub material: &'a Material,
    /// The step, in words.
    pub what: &'a str,
    /// Until when, and who hears of it.
    pub patience: Patience<'a>,
}

impl Restore<'_> {
    /// Carries out one step.
    ///
    /// # Errors
    /// The deadline, a refusal, or what failed.
    pub async fn execute(&self, step: &Action) -> Result<(), EtcdError> {
        match step {
            Action::Affirm { lost, member, snapshot } => self.affirm(*lost, *member, *snapshot).await,
            Action::Restore { begun } => self.restore(begun),
            Action::Record { etcd, member, begun } => self.record(*etcd, *member, begun).await,
        }
    }

    /// What can be known to fail is tried before the marker is written: from then on there is no way back.
    async fn affirm(&self, lost: u64, member: u64, snapshot: Option<Digest>) -> Result<(), EtcdError> {
        self.able()?;
        if let Some(digest) = snapshot {
            self.find(digest)?;
        }
        let (mut since, mut said) = (Instant::now(), String::new());
        while since.elapsed() < AFFIRMED_AFTER {
            let ports = self.look(lost).await?;
            let shows_it =
                matches!(ports.get(&self.desired.me), Some(PeerSeen::Members { cluster, .. }) if *cluster == lost);
            if snapshot.is_none() && !shows_it {
                since = Instant::now();
                pause(self.what, format!("etcd here as a member of cluster {lost:x}"), &mut said, self.patience)
                    .await?;
                continue;
            }
            if Instant::now() + LOOK_AGAIN >= self.patience.until {
                let whom = format!("{} s in which nobody reads with quorum", AFFIRMED_AFTER.as_secs());
                return Err(EtcdError::Waiting { what: self.what.to_owned(), whom });
            }
            sleep(LOOK_AGAIN).await;
        }
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).map_err(|error| EtcdError::Random(error.to_string()))?;
        let begun = Begun { lost, member, nonce: Nonce::of(bytes), snapshot, stage: Stage::Affirmed };
        Ok(marker::write(self.paths, &Marker::Recovering { cluster: self.desired.cluster.clone(), begun })?)
    }

    /// One look at all masters: nobody reads with quorum, no majority runs.
    async fn look(&self, lost: u64) -> Result<BTreeMap<NodeName, PeerSeen>, EtcdError> {
        let tls = self.material.client().map_err(|error| self.refused(error.to_string()))?;
        let asked = self.desired.members.iter().map(|(name, address)| {
            let tls = tls.clone();
            async move {
                let read = async { Endpoint::open(name, *address, self.material).await?.view().await };
                let (read, port) = tokio::join!(read, probe::members(&tls, name, *address));
                (name, read.ok(), port)
            }
        });
        let mut ports = BTreeMap::new();
        for (name, read, port) in join_all(asked).await {
            if let Some(view) = read {
                return Err(self.refused(format!("{name} reads etcd cluster {:x} with quorum", view.cluster)));
            }
            ports.insert(name.clone(), port);
        }
        let (up, voters) = running(self.desired, lost, ports.iter());
        if up >= quorum(voters) {
            return Err(self.refused(format!("{up} of {voters} voters of etcd cluster {lost:x} run")));
        }
        Ok(ports)
    }

    /// The tool is there and knows what is asked of it.
    #[expect(clippy::disallowed_methods, reason = "a driver: it runs etcd's own tool")]
    fn able(&self) -> Result<(), EtcdError> {
        let tool = self.paths.etcdutl();
        let help = Command::new(&tool).args(["snapshot", "restore", "--help"]).output();
        let help = help.map_err(|error| self.refused(format!("'{}' cannot be run: {error}", tool.display())))?;
        if String::from_utf8_lossy(&help.stdout).contains("--bump-revision") {
            return Ok(());
        }
        Err(self.refused(format!("'{}' knows no '--bump-revision'; etcd 3.5.16 or later has it", tool.display())))
    }

    /// Not to be interrupted: no await, so that no second tool is ever started beside a running one.
    #[expect(clippy::disallowed_methods, reason = "a driver: it runs etcd's own tool")]
    fn restore(&self, begun: &Begun) -> Result<(), EtcdError> {
        let data = self.paths.etcd_data();
        let source = match begun.snapshot {
            Some(digest) => self.find(digest)?,
            None => data.join("archive").join(begun.archive()).join("member/snap/db"),
        };
        // What a killed run left is an unfinished copy. Its tool may still be writing: this one gets a place of its own.
        for left in self.unfinished(&data)? {
            fs::remove_dir_all(&left).map_err(failed("remove the unfinished copy", &left))?;
        }
        let place = data.join(format!("{UNFINISHED}{}-{}", begun.nonce, std::process::id()));
        let (tool, url) = (self.paths.etcdutl(), peer_url(self.desired.address));
        let ran = Command::new(&tool)
            .args(["snapshot", "restore", "--skip-hash-check", "--mark-compacted", "--bump-revision", REVISIONS])
            .args(["--name", self.desired.me.as_str(), "--initial-advertise-peer-urls", &url])
            .args(["--initial-cluster", &format!("{}={url}", self.desired.me)])
            .args(["--initial-cluster-token", &begun.token(&self.desired.cluster)])
            .arg("--data-dir")
            .arg(&place)
            .arg(&source)
            .output()
            .map_err(failed("run", &tool))?;
        if !ran.status.success() {
            let said = String::from_utf8_lossy(&ran.stderr);
            let last = said.lines().last().unwrap_or("nothing").to_owned();
            return Err(self.refused(format!("'{}' does not restore '{}': {last}", tool.display(), source.display())));
        }
        self.settle(&place)?;
        let (from, to) = (place.join("member"), data.join("member"));
        fs::rename(&from, &to).map_err(failed("move the restored data to", &to))?;
        durable::sync_directory(&data)?;
        fs::remove_dir(&place).map_err(failed("remove", &place))
    }

    /// Gives everything below `place` to etcd and makes it durable.
    fn settle(&self, place: &Path) -> Result<(), EtcdError> {
        if let Some((uid, gid)) = self.owner {
            chown(place, Some(uid), Some(gid)).map_err(failed("change the owner of", place))?;
        }
        if place.is_dir() {
            for entry in fs::read_dir(place).map_err(failed("read", place))? {
                self.settle(&entry.map_err(failed("read", place))?.path())?;
            }
        }
        File::open(place).and_then(|file| file.sync_all()).map_err(failed("sync", place))
    }

    fn unfinished(&self, data: &Path) -> Result<Vec<PathBuf>, EtcdError> {
        let read = || -> io::Result<Vec<PathBuf>> {
            let entries = fs::read_dir(data)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
            let ours = |path: &PathBuf| {
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(UNFINISHED))
            };
            Ok(entries.into_iter().filter(ours).collect())
        };
        read().map_err(failed("read", data))
    }

    /// The snapshot with that digest among those on this host.
    fn find(&self, digest: Digest) -> Result<PathBuf, EtcdError> {
        let place = snapshot::directory(&self.paths.markers());
        let entries = match fs::read_dir(&place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            entries => Some(entries.map_err(failed("read", &place))?),
        };
        for entry in entries.into_iter().flatten() {
            let path = entry.map_err(failed("read", &place))?.path();
            let mut hash = Sha256::new();
            let mut file = File::open(&path).map_err(failed("open", &path))?;
            io::copy(&mut file, &mut hash).map_err(failed("read", &path))?;
            if format!("{:x}", hash.finalize()) == digest.to_string() {
                return Ok(path);
            }
        }
        Err(self.refused(format!("no file in '{}' has the SHA-256 {digest}", place.display())))
    }

    /// In the cluster first: a run that is killed in between records the same once more.
    async fn record(&self, etcd: u64, member: u64, begun: &Begun) -> Result<(), EtcdError> {
        let mut said = String::new();
        loop {
            let write = async {
                let endpoint = Endpoint::open(&self.desired.me, self.desired.address, self.material).await?;
                let before = endpoint.view().await?.recovered;
                let mut given_up = before.map(|recovered| recovered.given_up).unwrap_or_default();
                if !given_up.contains(&begun.lost) {
                    given_up.push(begun.lost);
                }
                endpoint.record_recovery(&Recovered { nonce: begun.nonce, given_up }).await
            };
            match write.await {
                Ok(()) => break,
                Err(error) => pause(self.what, error.to_string(), &mut said, self.patience).await?,
            }
        }
        let formed = Marker::Formed { cluster: self.desired.cluster.clone(), etcd, member };
        Ok(marker::write(self.paths, &formed)?)
    }

    fn refused(&self, why: String) -> EtcdError {
        EtcdError::Refused { what: self.what.to_owned(), why }
    }
}

fn failed(attempt: &'static str, path: &Path) -> impl Fn(io::Error) -> EtcdError {
    let path = path.to_owned();
    move |source| EtcdError::File { attempt, path: path.clone(), source }
}

/// How the name of a directory begins in which data is being restored.
const UNFINISHED: &str = "restoring-";
