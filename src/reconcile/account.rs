//! Keeps the status document and the metrics file up to date while a run goes on. Their only writer.

use super::apply::{Ending, Event, Failure};
use super::{Desired, Observed};
use crate::durable::{self, DurableError};
use crate::journal::chain;
use crate::paths::Paths;
use crate::plan::Blocked;
use crate::status::compose::{Cluster, Known, Seen, compose};
use crate::status::{Activity, FailedStep, Phase, RefusedDrop, Status, metrics};
use jiff::Timestamp;

/// Readable by everybody: it names hosts and reasons, and no secret.
const MODE: u32 = 0o644;

/// Where the account goes, and what it says of the intake.
#[derive(Debug)]
pub struct Account<'a> {
    /// The table of paths.
    pub paths: &'a Paths,
    /// Drops that were refused in this run.
    pub refused_drops: Vec<RefusedDrop>,
    /// Sources that did not answer, in words.
    pub awaited: Vec<String>,
    /// Where the manifest in force was found.
    pub origin: Option<String>,
    /// What failed before anything could be planned.
    pub failed: Vec<FailedStep>,
}

/// What a run has to say beside what was observed.
#[derive(Debug, Clone, Default)]
pub struct News {
    /// The step under way.
    pub activity: Option<Activity>,
    /// Steps still wanted.
    pub pending: Vec<String>,
    /// What is not done, and why.
    pub blocked: Vec<Blocked>,
    /// Steps that failed.
    pub failed: Vec<FailedStep>,
}

impl Account<'_> {
    /// Writes both files.
    ///
    /// # Errors
    /// Names the file that could not be written.
    pub fn write(&self, phase: Phase, cluster: Option<Cluster<'_>>, news: News) -> Result<Status, DurableError> {
        let News { activity, pending, blocked, mut failed } = news;
        failed.splice(0..0, self.failed.iter().cloned());
        // What was dropped could not be taken in: however well the rest goes, this host is not as it is asked to be.
        let phase = if self.failed.is_empty() || phase == Phase::Converging { phase } else { Phase::Failed };
        let status = compose(Known {
            at: now(),
            phase,
            refused_drops: &self.refused_drops,
            awaited: &self.awaited,
            cluster,
            origin: self.origin.as_deref(),
            activity,
            pending,
            blocked,
            failed,
        });
        // A status is a tree of strings and numbers: there is nothing in it that JSON could not say.
        let text = serde_json::to_string_pretty(&status).unwrap_or_default();
        durable::replace(&self.paths.status(), text.as_bytes(), MODE, None)?;
        durable::replace(&self.paths.metrics(), metrics::render(&status).as_bytes(), MODE, None)?;
        Ok(status)
    }

    /// Writes both files while another manifest is on trial: `desired` is what is in force.
    ///
    /// # Errors
    /// As [`Account::write`].
    pub fn trying(&self, desired: &Desired, observed: &Observed, activity: Activity) -> Result<Status, DurableError> {
        let news = News { activity: Some(activity), ..News::default() };
        self.write(Phase::Converging, Some(cluster(desired, observed)), news)
    }
}

/// Follows one convergence and accounts for each of its rounds.
#[derive(Debug)]
pub struct Follower<'a> {
    account: &'a Account<'a>,
    desired: &'a Desired,
    deadline: Timestamp,
    observed: Option<Observed>,
    news: News,
    /// The first failure to write; told at the end, for the work goes on without it.
    trouble: Option<DurableError>,
}

impl<'a> Follower<'a> {
    /// For a run that gives up at `deadline`.
    pub fn new(account: &'a Account<'a>, desired: &'a Desired, deadline: Timestamp) -> Self {
        Self { account, desired, deadline, observed: None, news: News::default(), trouble: None }
    }

    /// Hears one event; rewrites the document when it changes what on-call should see.
    pub fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Planned(observed, plan) => {
                self.observed = Some((*observed).clone());
                self.news = News {
                    pending: plan.steps.iter().map(|step| step.action.to_string()).collect(),
                    blocked: plan.blocked.clone(),
                    ..News::default()
                };
                self.write();
            }
            Event::Begun(step) => {
                let (step, since) = (step.action.to_string(), now());
                let deadline = Some(self.deadline);
                self.news.activity = Some(Activity { step, progress: String::new(), since, deadline });
            }
            Event::Progress(text) => {
                let Some(activity) = self.news.activity.as_mut().filter(|activity| activity.progress != *text) else {
                    return;
                };
                (*text).clone_into(&mut activity.progress);
                self.write();
            }
            Event::Done(_) | Event::Failed(_) => self.news.activity = None,
        }
    }

    fn write(&mut self) {
        let cluster = self.observed.as_ref().map(|observed| cluster(self.desired, observed));
        if let Err(error) = self.account.write(Phase::Converging, cluster, self.news.clone()) {
            self.trouble.get_or_insert(error);
        }
    }

    /// Accounts for the end; nothing when the run begins again.
    ///
    /// # Errors
    /// When any of the documents could not be written.
    pub fn end(self, ending: &Ending) -> Result<Option<Status>, DurableError> {
        if let Some(trouble) = self.trouble {
            return Err(trouble);
        }
        let pending = self.news.pending;
        let (phase, news) = match ending {
            Ending::NewInput => return Ok(None),
            Ending::Converged => (Phase::Converged, News::default()),
            Ending::Waiting(blocked) => (Phase::Waiting, News { pending, blocked: blocked.clone(), ..News::default() }),
            Ending::Refused(blocked) => (Phase::Refused, News { pending, blocked: blocked.clone(), ..News::default() }),
            Ending::Failed(failures) => {
                let failed = failures.iter().map(failed_step).collect();
                (Phase::Failed, News { pending, blocked: self.news.blocked, failed, activity: None })
            }
        };
        let cluster = self.observed.as_ref().map(|observed| cluster(self.desired, observed));
        self.account.write(phase, cluster, news).map(Some)
    }
}

fn failed_step(failure: &Failure) -> FailedStep {
    FailedStep { step: failure.step.action.to_string(), error: chain(&failure.error) }
}

/// The parts of an observation that status shows.
fn cluster<'a>(desired: &'a Desired, observed: &'a Observed) -> Cluster<'a> {
    let seen = Seen {
        pki: &observed.pki.installed,
        network: &observed.network,
        vrrp: &observed.vrrp.state,
        etcd: &observed.cluster,
        storage: &observed.storage,
    };
    let me = (!desired.is_leaving()).then(|| desired.me());
    Cluster { manifest: desired.manifest(), me, seen: Some(seen) }
}

#[expect(clippy::disallowed_methods, reason = "a shell: it dates the document it writes")]
fn now() -> Timestamp {
    Timestamp::now()
}
