//! What the reconciler does about the daemon: its configuration first, then the unit, then a reload if it runs an older one.
//!
//! Whether the VIP is here is no question of the plan: a Backup is as converged as an Active. A daemon that cannot take
//! part (its link is down) is waited for, since nothing the reconciler does would help.

use super::machine;
use super::state::{ObservedState, RouterState};
use super::{Action, Desired, Observed};
use crate::file::ObservedFile;
use crate::plan::{Blocked, Hold, Part, Plan};
use crate::systemd::{Unit, UnitAction, UnitState, Verb, plan::running};

/// The steps that bring the daemon to the desired configuration.
pub fn plan(desired: &Desired, observed: &Observed) -> Plan<Action> {
    let mut plan = Plan::default();
    let written = observed.config_file.is(&desired.config);
    if !written {
        let why = match &observed.config_file {
            ObservedFile::Absent => "no configuration is rendered yet".into(),
            ObservedFile::Present { .. } => "the rendered configuration differs".into(),
            ObservedFile::Unknown { why } => format!("the rendered configuration cannot be read: {why}"),
        };
        plan.step(Action::WriteConfig(desired.config.clone()), why);
    }
    plan.extend(running(Unit::Vrrpd, &observed.unit, Part::Vrrp, "the VIP needs its daemon").map(Action::Unit));
    if observed.unit != UnitState::Active {
        return plan;
    }
    match &observed.state {
        ObservedState::Present(state) if state.config_digest != desired.config.digest() => {
            let reload = UnitAction { unit: Unit::Vrrpd, verb: Verb::Reload };
            plan.step(Action::Unit(reload), "the daemon runs another configuration");
        }
        ObservedState::Present(state) => {
            state.routers.iter().filter_map(waiting).for_each(|blocked| plan.block(blocked));
        }
        ObservedState::Absent => plan.block(blocked("it has not written its state yet", "its state document")),
        ObservedState::Unknown { why } => {
            plan.block(blocked(&format!("its state cannot be read: {why}"), "a state document that can be read"));
        }
    }
    plan
}

/// A router that does not take part, and why.
fn waiting(router: &RouterState) -> Option<Blocked> {
    if router.state != machine::State::Initialize {
        return None;
    }
    let (why, awaited) = match router.obstacle {
        Some(machine::Obstacle::LinkMissing) => ("there is no link", "a link of that name"),
        Some(machine::Obstacle::LinkDown) => ("there is no carrier on", "its carrier"),
        Some(machine::Obstacle::NoIpv4Source) => ("there is no IPv4 address on", "an address to advertise from"),
        Some(machine::Obstacle::NoIpv6Source) => {
            ("there is no usable link-local IPv6 address on", "a link-local address that passed duplicate detection")
        }
        None => ("the daemon is only starting on", "its first look at the link"),
    };
    Some(blocked(&format!("{why} '{}'", router.link), awaited))
}

fn blocked(why: &str, unblock: &str) -> Blocked {
    Blocked {
        part: Part::Vrrp,
        hold: Hold::Waiting,
        what: "take part in electing the holder of the VIP".into(),
        why: why.into(),
        unblock: unblock.into(),
    }
}

#[cfg(test)]
mod tests;
