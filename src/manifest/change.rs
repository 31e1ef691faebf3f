//! What a new manifest will do to the cluster, in words: for the person who is about to sign it.
//!
//! Each [`Effect`] is one thing that changes, with what follows from it and what it risks, in the order in which the
//! masters carry it out. It describes; whether the change is allowed is [`super::succession`]'s verdict.

mod members;
mod router;

use super::{Identity, Manifest, Master};
use crate::plan::Part;
use crate::quorum::membership::Transition;
use serde::Serialize;

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// The part of the hosts that it concerns.
    pub part: Part,
    /// What is different.
    pub what: String,
    /// What the masters do about it, or what somebody has to do.
    pub then: String,
    /// What may go wrong meanwhile.
    pub risk: Option<String>,
}

/// Everything that changes from `before` to `after`, in the order in which it is carried out.
pub fn effects(before: &Manifest, after: &Manifest) -> Vec<Effect> {
    let mut effects = Effects(Vec::new());
    paperwork(before, after, &mut effects);
    certificates(before, after, &mut effects);
    router::effects(before, after, &mut effects);
    members::effects(before, after, &mut effects);
    effects.0.sort_by_key(|effect| effect.part);
    effects.0
}

struct Effects(Vec<Effect>);

impl Effects {
    fn add(&mut self, part: Part, what: String, then: &str, risk: Option<&str>) {
        self.0.push(Effect { part, what, then: then.to_owned(), risk: risk.map(str::to_owned) });
    }
}

fn paperwork(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    if before.cluster_id != after.cluster_id {
        effects.add(
            Part::Manifest,
            format!("it is another cluster, {} instead of {}", after.cluster_id, before.cluster_id),
            "a host changes its cluster only by being installed anew",
            None,
        );
    }
    if before.name != after.name {
        let what = format!("the cluster is called '{}' instead of '{}'", after.name, before.name);
        effects.add(Part::Manifest, what, "people see the new name", None);
    }
    if before.environment != after.environment {
        effects.add(
            Part::Manifest,
            format!("the environment is {:?} instead of {:?}", after.environment, before.environment).to_lowercase(),
            "the number of masters is judged by its rules",
            None,
        );
    }
    if before.expires_at != after.expires_at {
        let what = match after.expires_at {
            Some(at) => format!("the manifest expires at {at}"),
            None => "the manifest no longer expires".to_owned(),
        };
        let then = "hosts that see it later do not accept it; where it is in force it stays in force";
        effects.add(Part::Manifest, what, then, None);
    }
    match (&before.min_image_version, &after.min_image_version) {
        (was, is) if was == is => {}
        (_, Some(least)) => effects.add(
            Part::Manifest,
            format!("the image has to be of version {least} or newer"),
            "hosts with an older image do not accept it until they are updated",
            Some("until then they keep to the manifest before, beside masters that follow this one"),
        ),
        (_, None) => effects.add(
            Part::Manifest,
            "any version of the image will do".into(),
            "hosts with an older image accept it as well",
            None,
        ),
    }
    if before.acknowledged != after.acknowledged {
        effects.add(
            Part::Manifest,
            "other risks are acknowledged".into(),
            "the refusals that they concern are lifted or return",
            None,
        );
    }
    for (was, is) in both(before, after) {
        if was.identity != is.identity {
            effects.add(
                Part::Manifest,
                format!(
                    "'{}' is recognised by {} instead of {}",
                    is.name,
                    known_by(&is.identity),
                    known_by(&was.identity)
                ),
                "the host that matches becomes this master at its next run",
                Some("a host that no longer matches any entry keeps running as it is and changes nothing"),
            );
        }
    }
}

fn certificates(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    if before.ca != after.ca {
        let what = match after.ca {
            Some(ca) => format!("certificates have to come from the CA {}", ca.short()),
            None => "the cluster CA is no longer pinned".to_owned(),
        };
        effects.add(
            Part::Pki,
            what,
            "issue new bundles with 'quorate pki issue' and drop them on every master",
            Some("masters with certificates of different CAs do not talk to each other"),
        );
    }
    let Transition { added, moved, .. } = Transition::between(&before.seats(), &after.seats());
    for name in added.iter().chain(&moved) {
        effects.add(
            Part::Pki,
            format!("'{name}' needs a certificate for its address"),
            "issue it with 'quorate pki issue' and drop it on that host",
            None,
        );
    }
    if before.vip.addresses != after.vip.addresses {
        effects.add(
            Part::Pki,
            "the certificates name the old virtual IP".into(),
            "issue new bundles with 'quorate pki issue' and drop them on every master",
            Some("clients that check names refuse the masters at the new virtual IP until then"),
        );
    }
}

/// Masters that both manifests list, as each has them.
fn both<'a>(before: &'a Manifest, after: &'a Manifest) -> Vec<(&'a Master, &'a Master)> {
    before.masters.iter().filter_map(|was| after.master(&was.name).map(|is| (was, is))).collect()
}

fn known_by(identity: &Identity) -> String {
    let Identity { machine_id, mac, hostname, serial, uuid } = identity;
    let words = [
        machine_id.as_ref().map(|id| format!("machine id {}", id.as_str())),
        mac.map(|mac| format!("MAC address {mac}")),
        hostname.as_ref().map(|hostname| format!("host name '{hostname}'")),
        serial.as_ref().map(|serial| format!("serial '{serial}'")),
        uuid.as_ref().map(|uuid| format!("UUID {uuid}")),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests;
