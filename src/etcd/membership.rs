//! Changing the cluster's member list, one change at a time.
//!
//! Every change goes the same way (M2, M3, M6): take the turn, a lock in etcd that ends with its lease; read the list
//! behind a quorum read; judge once more whether the change is safe; record the intent; change; read the list until
//! it shows the change; record the outcome. A time-out is ambiguous, so nothing is ever repeated without reading the
//! list first. A run that is killed anywhere leaves a list that the next observation understands.

use super::change::{self, Fit, fit};
use super::client::{ChangeRecord, ClientError, Endpoint, Stage};
use super::cluster::{Condition, Listed, Role, View};
use super::driver::Patience;
use super::material::Material;
use super::watch::LAG_ENTRIES;
use super::{Desired, EtcdError, poll, snapshot};
use crate::ident::NodeName;
use crate::paths::Paths;
use crate::plan::{Blocked, Hold};
use futures_util::future::join_all;
use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Between two attempts at something that only time can change.
pub(super) const PAUSE: Duration = Duration::from_millis(500);

/// One step on the member list, and for how long it may go on.
#[derive(Debug)]
pub struct Membership<'a> {
    /// This master.
    pub desired: &'a Desired,
    /// Its files.
    pub paths: &'a Paths,
    /// Its key material.
    pub material: &'a Material,
    /// The step, in words.
    pub what: &'a str,
    /// Until when, and who hears of it.
    pub patience: Patience<'a>,
}

/// What one attempt came to.
enum Attempt {
    /// The list shows the change.
    Done,
    /// Not yet; this is awaited.
    Wait(String),
    /// Not as things stand.
    Refuse(String),
}

impl From<Blocked> for Attempt {
    fn from(blocked: Blocked) -> Self {
        match blocked.hold {
            Hold::Waiting => Attempt::Wait(format!("{} ({})", blocked.unblock, blocked.why)),
            Hold::Refused => Attempt::Refuse(blocked.why),
        }
    }
}

/// A fault of one attempt is awaited like anything else: the next one reads the list first.
impl From<ClientError> for Attempt {
    fn from(error: ClientError) -> Self {
        Attempt::Wait(error.to_string())
    }
}

impl Membership<'_> {
    /// Adds this master as a learner, and waits until no peer shows a list without it (fault 6).
    ///
    /// # Errors
    /// The deadline, or what stands in the way.
    pub async fn add_learner(&self, cluster: u64, url: &str) -> Result<(), EtcdError> {
        self.until_done(cluster, async |endpoint, view| {
            if view.members.iter().any(|listed| listed.peer_urls.iter().any(|listed| listed == url)) {
                return Ok(Attempt::Done);
            }
            change::addition(self.desired, view, &poll::poll(view, self.material).await.conditions)?;
            self.record(endpoint, Stage::Intended).await?;
            endpoint.add_learner(url).await?;
            self.record(endpoint, Stage::Done).await?;
            Ok(Attempt::Done)
        })
        .await
    }

    /// Removes the member that `entry` describes, after a snapshot, and after its leadership was handed on.
    ///
    /// # Errors
    /// The deadline, or what stands in the way.
    pub async fn remove(&self, cluster: u64, entry: &Listed) -> Result<(), EtcdError> {
        let snapshot = OnceCell::new();
        self.until_done(cluster, async |endpoint, view| {
            let Some(listed) = view.member(entry.id) else { return Ok(Attempt::Done) };
            // M5: what was decided was about this id at this URL under this name.
            if (&listed.name, &listed.peer_urls) != (&entry.name, &entry.peer_urls) {
                return Ok(Attempt::Refuse(format!("member {} has changed meanwhile", change::label(listed))));
            }
            let conditions = poll::poll(view, self.material).await.conditions;
            change::removal(self.desired, view, &conditions, listed)?;
            if listed.role == Role::Voter {
                if snapshot.get().is_none() {
                    let taken = snapshot::take(endpoint, &self.paths.markers(), view).await;
                    let path = taken.map_err(|error| Attempt::Wait(format!("a snapshot before it: {error}")))?;
                    (self.patience.progress)(&format!("{}: snapshot in '{}'", self.what, path.display()));
                    snapshot.get_or_init(|| path);
                }
                if view.leader == listed.id {
                    self.move_leader_away(view, listed, &conditions).await?;
                    return Ok(Attempt::Wait("another member leading".into()));
                }
            }
            self.take_out(endpoint, entry.id).await
        })
        .await
    }

    async fn take_out(&self, endpoint: &Endpoint, member: u64) -> Result<Attempt, Attempt> {
        self.record(endpoint, Stage::Intended).await?;
        match endpoint.remove(member).await {
            Ok(()) => {}
            Err(error) if error.says("member not found") => {}
            Err(error) => return Err(error.into()),
        }
        self.record(endpoint, Stage::Done).await?;
        Ok(Attempt::Done)
    }

    /// Removes another master's learner that stood still at `applied`, if it still does.
    ///
    /// # Errors
    /// The deadline, or what stands in the way.
    pub async fn evict(&self, cluster: u64, entry: &Listed, applied: Option<u64>) -> Result<(), EtcdError> {
        self.until_done(cluster, async |endpoint, view| {
            let Some(listed) = view.member(entry.id) else { return Ok(Attempt::Done) };
            if listed.role != Role::Learner {
                return Ok(Attempt::Refuse(format!("member {} votes by now", change::label(listed))));
            }
            let asked = poll::poll(view, self.material).await;
            if asked.answers.get(&entry.id).map(|answer| answer.applied) > applied {
                return Ok(Attempt::Refuse(format!("member {} moves again", change::label(listed))));
            }
            change::eviction(self.desired, view, &asked.conditions)?;
            self.take_out(endpoint, entry.id).await
        })
        .await
    }

    /// Makes this master's learner a voter, once it has caught up by its own measure and by etcd's.
    ///
    /// # Errors
    /// The deadline, or what stands in the way.
    pub async fn promote(&self, cluster: u64, member: u64) -> Result<(), EtcdError> {
        self.until_done(cluster, async |endpoint, view| {
            match view.member(member) {
                Some(listed) if listed.role == Role::Voter => return Ok(Attempt::Done),
                Some(_) => {}
                None => return Ok(Attempt::Refuse(format!("member {member:x} is no longer listed"))),
            }
            let theirs = endpoint.status().await?.applied;
            let own = Endpoint::open(&self.desired.me, self.desired.address, self.material).await?.status().await?;
            let lag = theirs.saturating_sub(own.applied);
            if own.member != member || lag > LAG_ENTRIES {
                return Ok(Attempt::Wait(format!("the learner catching up: {lag} entries behind")));
            }
            self.record(endpoint, Stage::Intended).await?;
            match endpoint.promote(member).await {
                Err(error) if error.says("in sync with leader") => {
                    return Ok(Attempt::Wait("the learner catching up with the leader".into()));
                }
                promoted => promoted?,
            }
            self.record(endpoint, Stage::Done).await?;
            Ok(Attempt::Done)
        })
        .await
    }

    /// Attempts a change with the turn taken, until it is done, refused, or the deadline is near.
    async fn until_done(
        &self,
        cluster: u64,
        attempt: impl AsyncFn(&Endpoint, &View) -> Result<Attempt, Attempt>,
    ) -> Result<(), EtcdError> {
        let mut said = String::new();
        loop {
            let came_to = match self.voter(cluster).await {
                None => Attempt::Wait("a member that reads with quorum".into()),
                Some(endpoint) => match endpoint.take_turn().await {
                    Err(error) => Attempt::Wait(format!("the turn to change the member list: {error}")),
                    Ok(turn) => {
                        // The list from before the turn may be another one now.
                        let came_to = match endpoint.view().await {
                            Ok(view) => attempt(&endpoint, &view).await.unwrap_or_else(|came_to| came_to),
                            Err(error) => error.into(),
                        };
                        endpoint.give_turn(turn).await;
                        came_to
                    }
                },
            };
            match came_to {
                Attempt::Done => return Ok(()),
                Attempt::Refuse(why) => return Err(EtcdError::Refused { what: self.what.to_owned(), why }),
                Attempt::Wait(whom) => pause(self.what, whom, &mut said, self.patience).await?,
            }
        }
    }

    /// Another master's endpoint that reads with quorum, or this one's own if no other does: a master that joins has none,
    /// and one that is about to lose its membership should not be the one that answers.
    async fn voter(&self, cluster: u64) -> Option<Endpoint> {
        let asked = self.desired.members.iter().map(|(name, address)| async move {
            let endpoint = Endpoint::open(name, *address, self.material).await.ok()?;
            (endpoint.view().await.ok()?.cluster == cluster).then_some((*name == self.desired.me, endpoint))
        });
        let mut found: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        found.sort_by_key(|(own, _)| *own);
        found.into_iter().next().map(|(_, endpoint)| endpoint)
    }

    /// Hands leadership to a healthy voter that the manifest names. Only the leader itself does this.
    async fn move_leader_away(
        &self,
        view: &View,
        leader: &Listed,
        conditions: &BTreeMap<u64, Condition>,
    ) -> Result<(), Attempt> {
        let stays = |listed: &&Listed| {
            listed.id != leader.id
                && listed.role == Role::Voter
                && matches!(fit(self.desired, listed), Fit::Master(_))
                && conditions.get(&listed.id) == Some(&Condition::Healthy)
        };
        let Some(successor) = view.members.iter().find(stays) else {
            return Err(Attempt::Wait("a healthy voter to lead".into()));
        };
        let (name, address): (NodeName, _) =
            poll::endpoint_of(leader).ok_or_else(|| Attempt::Wait("the leader having an endpoint".into()))?;
        Ok(Endpoint::open(&name, address, self.material).await?.move_leader(successor.id).await?)
    }

    async fn record(&self, endpoint: &Endpoint, stage: Stage) -> Result<(), ClientError> {
        let record = ChangeRecord {
            generation: self.desired.generation,
            by: self.desired.me.clone(),
            change: self.what.to_owned(),
            stage,
        };
        endpoint.record_change(&record).await
    }
}

/// Says what is awaited if that is news, and waits a little.
pub(super) async fn pause(
    what: &str,
    whom: String,
    said: &mut String,
    patience: Patience<'_>,
) -> Result<(), EtcdError> {
    if Instant::now() + PAUSE >= patience.until {
        return Err(EtcdError::Waiting { what: what.to_owned(), whom });
    }
    if *said != whom {
        (patience.progress)(&format!("{what}: waiting for {whom}"));
        *said = whom;
    }
    sleep(PAUSE).await;
    Ok(())
}
