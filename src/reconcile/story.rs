//! A plan as somebody reads it: by part, each step with the field that asks for it, each obstacle with its remedy.
//!
//! Pure. The two forms are held by the cases in `tests/plan` and, as JSON, by `spec/plan.schema.json`.

use super::Action;
use crate::ident::{ClusterId, ClusterName, Digest, Generation, NodeName};
use crate::manifest::Manifest;
use crate::manifest::refusal::Class;
use crate::plan::{Blocked, Hold, Part, Plan, Step};
use crate::status::human::{Paint, Tone};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::fmt::{self, Write};

/// The version of the JSON form.
pub const SCHEMA: &str = "quorate/plan/v1";

/// What was found to be done.
#[derive(Debug)]
pub struct Story {
    /// Which master this host is; none without a manifest that names it.
    pub host: Option<NodeName>,
    /// The manifest that the plan was made from.
    pub manifest: Option<Source>,
    /// How that manifest stands.
    pub standing: Standing,
    /// Everything that was found and is refused.
    pub refused: Vec<Refusal>,
    /// The plan.
    pub plan: Plan<Action>,
}

/// A manifest that was found and is not followed.
#[derive(Debug, Clone, Serialize)]
pub struct Refusal {
    /// Where it lies.
    pub origin: String,
    /// Of which kind the reason is.
    pub class: Class,
    /// What is wrong and what to do.
    pub why: String,
}

/// Which manifest a plan was made from.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    /// `metadata.name`.
    pub cluster: ClusterName,
    /// `metadata.clusterId`.
    pub cluster_id: ClusterId,
    /// `metadata.generation`.
    pub generation: Generation,
    /// SHA-256 of its bytes.
    pub digest: Digest,
    /// Where it was found.
    pub origin: String,
}

impl Source {
    /// Of a manifest that was found at `origin`.
    pub fn new(manifest: &Manifest, origin: &str) -> Self {
        Self {
            cluster: manifest.name.clone(),
            cluster_id: manifest.cluster_id.clone(),
            generation: manifest.generation,
            digest: manifest.digest,
            origin: origin.to_owned(),
        }
    }
}

/// How the manifest of a plan stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is in force, or there is none.
    InForce,
    /// A run would accept it.
    Acceptable {
        /// What is in force until then.
        from: Option<Generation>,
    },
    /// It would be tried.
    Trial {
        /// What stays in force.
        from: Generation,
        /// What is not part of a trial.
        left_out: Vec<Blocked>,
    },
}

impl Story {
    /// Whether a run would change anything.
    pub fn is_pending(&self) -> bool {
        !self.plan.steps.is_empty() || self.standing != Standing::InForce
    }

    /// What a trial leaves out.
    fn left_out(&self) -> &[Blocked] {
        match &self.standing {
            Standing::Trial { left_out, .. } => left_out,
            Standing::InForce | Standing::Acceptable { .. } => &[],
        }
    }
}

/// The JSON form; `verdict` is how the program ends, in words.
pub fn in_json(story: &Story, verdict: &str) -> Json {
    let steps = story.plan.steps.iter().map(|Step { action, why }| {
        let (part, field) = (action.part(), action.field());
        json!({ "part": part, "what": action.to_string(), "field": field, "why": why, "action": action })
    });
    let (standing, in_force) = match &story.standing {
        Standing::InForce => ("in-force", story.manifest.as_ref().map(|source| source.generation)),
        Standing::Acceptable { from } => ("acceptable", *from),
        Standing::Trial { from, .. } => ("trial", Some(*from)),
    };
    json!({
        "schema": SCHEMA,
        "verdict": verdict,
        "host": story.host,
        "manifest": story.manifest,
        "standing": standing,
        "generationInForce": in_force,
        "refusedDrops": story.refused,
        "steps": steps.collect::<Vec<_>>(),
        "blocked": story.plan.blocked,
        "notTried": story.left_out(),
    })
}

/// The form for people.
pub fn render(story: &Story, paint: Paint) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail; the Result is the trait's.
    let _ = tell(&mut out, story, paint);
    out
}

fn tell(out: &mut String, story: &Story, paint: Paint) -> fmt::Result {
    writeln!(out, "{}", paint.tone(Tone::Strong, &heading(story)))?;
    if let Some(source) = &story.manifest {
        let found = format!("from {} ({})", source.origin, source.digest.short());
        writeln!(out, "  {}", paint.tone(Tone::Faint, &found))?;
    }
    for refused in &story.refused {
        let (tone, word) = match refused.class {
            Class::Stale => (Tone::Faint, "stale drop"),
            Class::Awaited => (Tone::Watch, "waiting for"),
            Class::NotTrusted | Class::Invalid | Class::Unsafe => (Tone::Bad, "refused drop"),
        };
        writeln!(out, "\n{} {}", paint.tone(tone, word), refused.origin)?;
        refused.why.lines().try_for_each(|line| writeln!(out, "  {line}"))?;
    }
    let mut parts: Vec<Part> = story.plan.steps.iter().map(|step| step.action.part()).collect();
    parts.extend(story.plan.blocked.iter().map(|blocked| blocked.part));
    let mut told = Vec::new();
    for part in parts {
        if !told.contains(&part) {
            told.push(part);
            chapter(out, story, part, paint)?;
        }
    }
    if !story.left_out().is_empty() {
        writeln!(out, "\n{}", paint.tone(Tone::Strong, "not tried"))?;
        story.left_out().iter().try_for_each(|blocked| obstacle(out, blocked, paint))?;
    }
    writeln!(out, "\n{}", closing(story))
}

fn heading(story: &Story) -> String {
    let Some(source) = &story.manifest else { return "no manifest is in force here".into() };
    let host = story.host.as_ref().map_or_else(String::new, |host| format!("{host} of "));
    let (cluster, generation) = (&source.cluster, source.generation);
    let standing = match &story.standing {
        Standing::InForce => format!("generation {generation} is in force"),
        Standing::Acceptable { from: None } => format!("generation {generation} would be accepted, the first here"),
        Standing::Acceptable { from: Some(from) } => {
            format!("generation {generation} would be accepted in place of {from}")
        }
        Standing::Trial { from, .. } => format!("generation {generation} would be tried while {from} stays in force"),
    };
    format!("{host}{cluster}: {standing}")
}

/// Everything about one part. Steps are numbered over all parts, as they are carried out.
fn chapter(out: &mut String, story: &Story, part: Part, paint: Paint) -> fmt::Result {
    writeln!(out, "\n{}", paint.tone(Tone::Strong, &part.to_string()))?;
    let generation = story.manifest.as_ref().map_or(Generation(0), |source| source.generation);
    for (at, Step { action, why }) in story.plan.steps.iter().enumerate() {
        if action.part() == part {
            writeln!(out, "  {} {action}", paint.tone(Tone::Good, &format!("{}.", at + 1)))?;
            let reason = format!("why    {why} ({} of generation {generation})", action.field());
            writeln!(out, "     {}", paint.tone(Tone::Faint, &reason))?;
        }
    }
    story
        .plan
        .blocked
        .iter()
        .filter(|blocked| blocked.part == part)
        .try_for_each(|blocked| obstacle(out, blocked, paint))
}

fn obstacle(out: &mut String, blocked: &Blocked, paint: Paint) -> fmt::Result {
    let (word, tone, remedy) = match blocked.hold {
        Hold::Refused => ("refused", Tone::Bad, "do   "),
        Hold::Waiting => ("waiting", Tone::Watch, "until"),
    };
    writeln!(out, "  {} {}", paint.tone(tone, word), blocked.what)?;
    for (at, line) in blocked.why.lines().enumerate() {
        writeln!(out, "     {}  {line}", if at == 0 { "why  " } else { "     " })?;
    }
    writeln!(out, "     {remedy}  {}", blocked.unblock)
}

fn closing(story: &Story) -> String {
    let steps = story.plan.steps.len();
    let held = |hold| story.plan.blocked.iter().filter(|blocked| blocked.hold == hold).count();
    match (steps, held(Hold::Waiting), held(Hold::Refused)) {
        (0, 0, 0) if story.refused.iter().any(|refused| refused.class.needs_repair()) => {
            "nothing to do but the refused drop".into()
        }
        (0, 0, 0) => "nothing to do".into(),
        (0, waiting, refused) => format!("nothing to do now: {waiting} waiting, {refused} refused"),
        (_, waiting, refused) => {
            format!("{steps} to do, {waiting} waiting, {refused} refused; more may follow once these are done")
        }
    }
}

#[cfg(test)]
mod tests;
