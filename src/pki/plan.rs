//! Whether a dropped bundle is put in force.

use super::bundle::{Bundle, Expected, Fault};
use super::{Action, CA, CERTIFICATE, Desired, Dropped, Installed, KEY, Observed};
use crate::file::{Owner, RenderedFile};
use crate::plan::{Blocked, Hold, Part, Plan};
use jiff::Timestamp;
use std::path::Path;

/// Installs the newest good bundle when nothing good is installed, or when it is newer than what is.
pub fn plan(desired: &Desired, observed: &Observed) -> Plan<Action> {
    let mut plan = Plan::default();
    let installed = match &observed.installed {
        Installed::Present(bundle) => Standing::of(desired, bundle, observed.at),
        Installed::Absent => Standing::Missing,
        Installed::Broken(fault) => Standing::Faulty { faults: vec![fault.clone()], since: None },
    };
    let in_force_since = installed.since();
    let newer = |since: Option<Timestamp>| since > in_force_since;
    let judged: Vec<(&Dropped, Standing)> = observed
        .dropped
        .iter()
        .map(|dropped| {
            let standing = match &dropped.bundle {
                Ok(bundle) => Standing::of(desired, bundle, observed.at),
                Err(fault) => Standing::Faulty { faults: vec![fault.clone()], since: None },
            };
            (dropped, standing)
        })
        .collect();
    // The newest good one; of two equally new ones the first, whose place has precedence.
    let best = judged
        .iter()
        .filter(|(_, standing)| matches!(standing, Standing::Good { .. }))
        .rev()
        .max_by_key(|(_, standing)| standing.since());
    match (best, &installed) {
        (Some((dropped, standing)), Standing::Good { .. }) if newer(standing.since()) => {
            install(&mut plan, dropped, &observed.place, "it is newer than the one in force");
        }
        (Some((dropped, _)), Standing::Missing | Standing::Faulty { .. }) => {
            install(&mut plan, dropped, &observed.place, "nothing usable is in force");
        }
        (None, Standing::Missing | Standing::Faulty { .. }) => {
            plan.blocked.extend(nothing_usable(&installed, &judged));
        }
        (_, Standing::Good { .. }) => plan.blocked.extend(
            judged
                .iter()
                .filter(|(_, standing)| newer(standing.since()))
                .filter_map(|(dropped, standing)| refused(dropped, standing)),
        ),
    }
    plan
}

/// What a bundle is good for.
enum Standing {
    Missing,
    Good { since: Timestamp },
    Faulty { faults: Vec<Fault>, since: Option<Timestamp> },
}

impl Standing {
    fn of(desired: &Desired, bundle: &Bundle, now: Timestamp) -> Self {
        let expected = Expected { name: desired.me.as_str(), address: desired.address, ca: desired.ca };
        let faults = bundle.faults(&expected, now);
        match bundle.validity() {
            Ok(validity) if faults.is_empty() => Standing::Good { since: validity.not_before },
            Ok(validity) => Standing::Faulty { faults, since: Some(validity.not_before) },
            Err(_) => Standing::Faulty { faults, since: None },
        }
    }

    fn since(&self) -> Option<Timestamp> {
        match self {
            Standing::Missing => None,
            Standing::Good { since } => Some(*since),
            Standing::Faulty { since, .. } => *since,
        }
    }
}

fn install(plan: &mut Plan<Action>, dropped: &Dropped, place: &Path, why: &str) {
    let Ok(bundle) = &dropped.bundle else { return };
    let file = |name: &str, mode, content: &str| RenderedFile {
        path: place.join(name),
        mode,
        owner: Owner::Root,
        content: content.as_bytes().to_vec(),
    };
    let files = vec![
        file(CA, 0o644, bundle.ca()),
        file(CERTIFICATE, 0o644, bundle.certificate()),
        file(KEY, 0o600, bundle.key()),
    ];
    plan.step(Action::Install { origin: dropped.origin.clone(), files }, why);
}

fn nothing_usable(installed: &Standing, judged: &[(&Dropped, Standing)]) -> Vec<Blocked> {
    let mut blocked: Vec<Blocked> =
        judged.iter().filter_map(|(dropped, standing)| refused(dropped, standing)).collect();
    if let Standing::Faulty { faults, .. } = installed {
        blocked.push(block(Hold::Refused, "use the installed key and certificate", words(faults), DROP_A_GOOD_ONE));
    }
    if blocked.is_empty() {
        blocked.push(block(
            Hold::Waiting,
            "install this master's key and certificate",
            "no bundle was dropped".into(),
            DROP_A_GOOD_ONE,
        ));
    }
    blocked
}

const DROP_A_GOOD_ONE: &str =
    "'node.pem' of this master in a drop directory; 'quorate pki issue MANIFEST' makes it on the workstation";

fn refused(dropped: &Dropped, standing: &Standing) -> Option<Blocked> {
    let Standing::Faulty { faults, .. } = standing else { return None };
    Some(block(Hold::Refused, &format!("install '{}'", dropped.origin.display()), words(faults), DROP_A_GOOD_ONE))
}

fn words(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn block(hold: Hold, what: &str, why: String, unblock: &str) -> Blocked {
    Blocked { part: Part::Pki, hold, what: what.to_owned(), why, unblock: unblock.to_owned() }
}

#[cfg(test)]
mod tests;
