//! A manifest on trial: which steps of a plan are tried, and whether the result is kept.
//!
//! What is in force is the checkpoint. A trial carries out the candidate's steps on the virtual router and accepts
//! nothing; taking it back is an ordinary run with the manifest that was in force all the time. So nothing has to be
//! saved, and a trial that is killed is taken back by whichever run comes next. etcd has no part in it: no later run
//! could take a membership step back, and one could cost the quorum.
//!
//! Kept is what verifies, and what whoever sits at the terminal confirms. Verified means that the plan asks for nothing
//! more and that exactly one master holds the VIP, by the word of every other master that answers (its notice in etcd,
//! given since). A host alone cannot know that: on a wrong link it hears nobody, and takes the VIP as if all had died.

use super::{Action, Observed};
use crate::ident::NodeName;
use crate::plan::{Blocked, Hold, Part, Plan};
use crate::status::VrrpRole;
use crate::status::notice::Notice;
use crate::vrrp::machine;
use crate::vrrp::state::ObservedState;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// How long the virtual router has to stand still before the others' word counts: what they tell later was seen after
/// the change, for a run tells at its end what it saw some seconds before at most.
const SETTLE: Duration = Duration::from_secs(3);

/// The part of a plan that is tried; what is left out is blocked in it, with the reason.
pub fn share(plan: Plan<Action>) -> (Plan<Action>, Vec<Blocked>) {
    let tried = |part: Part| matches!(part, Part::Network | Part::Vrrp);
    let (steps, left): (Vec<_>, Vec<_>) = plan.steps.into_iter().partition(|step| tried(step.action.part()));
    let (blocked, _) = plan.blocked.into_iter().partition(|blocked| tried(blocked.part));
    let left_out = left.iter().map(|step| Blocked {
        part: step.action.part(),
        hold: Hold::Waiting,
        what: step.action.to_string(),
        why: match step.action.part() {
            Part::Etcd => "a step on the etcd member is never part of a try: nothing could take it back".into(),
            _ => "a try leaves keys alone: they come from the drop directory, not from the manifest".into(),
        },
        unblock: "the run that follows when the manifest is kept".into(),
    });
    let left_out = left_out.collect();
    (Plan { steps, blocked }, left_out)
}

/// What one look shows of the virtual router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// What the tried part of the plan still asks for, or why it cannot be done.
    pub open: Option<String>,
    /// This master's own part, as its daemon says.
    pub role: VrrpRole,
    /// The other masters whose etcd member answers, with what each last told.
    pub others: BTreeMap<NodeName, Option<(Timestamp, VrrpRole)>>,
    /// How many other masters there are.
    pub peers: usize,
}

impl Sight {
    /// What `observed` shows to `me` once `plan` was made from it; `peers` are the other masters.
    pub fn new(plan: &Plan<Action>, observed: &Observed, peers: &[NodeName]) -> Self {
        let step = plan.steps.first().map(|step| format!("{} is still to be done", step.action));
        let blocked = || plan.blocked.first().map(|blocked| format!("{}: {}", blocked.what, blocked.why));
        let role = match &observed.vrrp.state {
            ObservedState::Present(state) => state.routers.first().map(|router| router.state),
            ObservedState::Absent | ObservedState::Unknown { .. } => None,
        };
        let answers = |name: &&NodeName| {
            let member = observed.cluster.members.iter().find(|member| member.name == name.as_str());
            member.is_some_and(|member| member.health == crate::etcd::summary::Health::Healthy)
        };
        let told = |name: &NodeName| {
            let notice: Notice = serde_json::from_slice(observed.cluster.notices.get(name)?).ok()?;
            Some((notice.at, notice.vrrp))
        };
        Self {
            open: step.or_else(blocked),
            role: match role {
                Some(machine::State::Active) => VrrpRole::Active,
                Some(machine::State::Backup) => VrrpRole::Backup,
                Some(machine::State::Initialize) => VrrpRole::Initialize,
                None => VrrpRole::Unknown,
            },
            others: peers.iter().filter(answers).map(|name| (name.clone(), told(name))).collect(),
            peers: peers.len(),
        }
    }
}

/// What a look amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It cannot be told yet, for this reason.
    Open(String),
    /// The VIP is where it should be, by everybody's word.
    Sound,
    /// It is not, and waiting would not help.
    Broken(String),
}

/// A trial under way: since when the router stands as it does, and what the others had told by then.
#[derive(Debug, Default)]
pub struct Trial {
    stands: Option<(VrrpRole, Duration)>,
    before: BTreeMap<NodeName, Timestamp>,
}

impl Trial {
    /// Judges what is seen `elapsed` after the beginning.
    pub fn see(&mut self, sight: &Sight, elapsed: Duration) -> Judgement {
        if let Some(open) = &sight.open {
            self.stands = None;
            return Judgement::Open(open.clone());
        }
        if !matches!(sight.role, VrrpRole::Active | VrrpRole::Backup) {
            self.stands = None;
            return Judgement::Open("this master has no part in the virtual router yet".into());
        }
        let since = match self.stands {
            Some((role, since)) if role == sight.role => since,
            _ => elapsed,
        };
        self.stands = Some((sight.role, since));
        if elapsed < since + SETTLE {
            let told = |(name, told): (&NodeName, &Option<(Timestamp, VrrpRole)>)| Some((name.clone(), (*told)?.0));
            self.before = sight.others.iter().filter_map(told).collect();
            if sight.peers > 0 {
                return Judgement::Open("the virtual router has only just changed".into());
            }
        }
        self.by_the_others(sight)
    }

    fn by_the_others(&self, sight: &Sight) -> Judgement {
        let here = sight.role == VrrpRole::Active;
        if sight.peers > 0 && sight.others.is_empty() {
            return Judgement::Open("no other master's etcd member answers, so none can tell who holds the VIP".into());
        }
        let news = |name: &NodeName, told: &Option<(Timestamp, VrrpRole)>| {
            told.filter(|(at, _)| self.before.get(name) != Some(at)).map(|(_, role)| role)
        };
        let told: Vec<_> = sight.others.iter().map(|(name, told)| (name, news(name, told))).collect();
        let holders: Vec<_> =
            told.iter().filter(|(_, role)| *role == Some(VrrpRole::Active)).map(|(name, _)| name.to_string()).collect();
        if here && let Some(other) = holders.first() {
            return Judgement::Broken(format!(
                "this master and {other} both hold the VIP: they do not hear each other"
            ));
        }
        if holders.len() > 1 {
            return Judgement::Broken(format!("{} hold the VIP at the same time", holders.join(" and ")));
        }
        let silent: Vec<_> = told.iter().filter(|(_, role)| role.is_none()).map(|(name, _)| name.to_string()).collect();
        if !silent.is_empty() {
            let names = silent.join(", ");
            return Judgement::Open(format!(
                "{names}: not told since what is seen there (each does at the end of a run)"
            ));
        }
        if !here && holders.is_empty() {
            return Judgement::Open("nobody holds the VIP".into());
        }
        Judgement::Sound
    }
}

/// What whoever sits at the terminal has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Keep it.
    Keep,
    /// Take it back, for this reason.
    TakeBack(String),
}

/// Whether somebody is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Somebody at a terminal; without an answer it is taken back.
    Somebody,
    /// Nobody: the verification decides.
    Nobody,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Look again; this is what is awaited.
    Wait(String),
    /// Accept the manifest.
    Keep,
    /// Go back to the manifest in force.
    TakeBack(String),
}

/// Decides, from the latest look and answer, with `left` of the time.
pub fn decide(judgement: &Judgement, asked: Asked, answer: Option<&Answer>, left: Duration) -> Decision {
    let confirmed = asked == Asked::Nobody || answer == Some(&Answer::Keep);
    match (judgement, answer) {
        (_, Some(Answer::TakeBack(why))) => Decision::TakeBack(why.clone()),
        (Judgement::Broken(why), _) => Decision::TakeBack(why.clone()),
        (Judgement::Sound, _) if confirmed => Decision::Keep,
        (Judgement::Sound, _) if left.is_zero() => Decision::TakeBack("it verified, and nobody confirmed it".into()),
        (Judgement::Sound, _) => Decision::Wait("it verifies; it is kept once it is confirmed".into()),
        (Judgement::Open(why), _) if left.is_zero() => Decision::TakeBack(format!("it did not verify in time: {why}")),
        (Judgement::Open(why), _) => Decision::Wait(why.clone()),
    }
}

#[cfg(test)]
mod tests;
