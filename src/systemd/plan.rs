//! How a unit gets from where it was seen to running: the one place that decides it.

use super::{Unit, UnitAction, UnitState, Verb};
use crate::plan::{Blocked, Hold, Part, Plan};

/// The plan that ends with `unit` running, for the part that needs it.
pub fn running(unit: Unit, state: &UnitState, part: Part, why: &str) -> Plan<UnitAction> {
    let mut plan = Plan::default();
    let mut block = |hold, reason: String, unblock: String| {
        plan.block(Blocked { part, hold, what: format!("start {unit}"), why: reason, unblock });
    };
    match state {
        UnitState::Active => {}
        UnitState::Inactive => plan.step(UnitAction { unit, verb: Verb::Start }, why),
        // A failed unit is started again by the reconciler's timer: systemd's own restarts are spent by then.
        UnitState::Failed { result } => {
            plan.step(UnitAction { unit, verb: Verb::ResetAndStart }, format!("{why}; it failed before ({result})"));
        }
        UnitState::Changing => {
            block(Hold::Waiting, format!("{unit} is changing state"), "the running systemd job".into());
        }
        UnitState::Missing => block(
            Hold::Refused,
            format!("systemd knows no {unit}"),
            "build the image with 'quorate install --root', which places the unit".into(),
        ),
        UnitState::Unknown { why } => {
            block(Hold::Waiting, format!("the state of {unit} is unknown: {why}"), "systemd answering on D-Bus".into());
        }
    }
    plan
}

/// The plan that ends with `unit` not running.
pub fn stopped(unit: Unit, state: &UnitState, part: Part, why: &str) -> Plan<UnitAction> {
    let mut plan = Plan::default();
    match state {
        UnitState::Active | UnitState::Changing => plan.step(UnitAction { unit, verb: Verb::Stop }, why),
        UnitState::Missing | UnitState::Inactive | UnitState::Failed { .. } => {}
        UnitState::Unknown { why } => plan.block(Blocked {
            part,
            hold: Hold::Waiting,
            what: format!("stop {unit}"),
            why: format!("the state of {unit} is unknown: {why}"),
            unblock: "systemd answering on D-Bus".into(),
        }),
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_leads_to_running_or_says_why_not() {
        let table = [
            (UnitState::Active, None, None),
            (UnitState::Inactive, Some(Verb::Start), None),
            (UnitState::Failed { result: "exit-code".into() }, Some(Verb::ResetAndStart), None),
            (UnitState::Changing, None, Some(Hold::Waiting)),
            (UnitState::Missing, None, Some(Hold::Refused)),
            (UnitState::Unknown { why: "no bus".into() }, None, Some(Hold::Waiting)),
        ];
        for (state, verb, hold) in table {
            let plan = running(Unit::Etcd, &state, Part::Etcd, "spec.etcd");
            assert_eq!(plan.steps.first().map(|step| step.action.verb), verb, "{state:?}");
            assert_eq!(plan.blocked.first().map(|blocked| blocked.hold), hold, "{state:?}");
        }
    }

    #[test]
    fn what_runs_is_stopped_and_what_does_not_is_left() {
        let table = [
            (UnitState::Active, 1),
            (UnitState::Changing, 1),
            (UnitState::Inactive, 0),
            (UnitState::Failed { result: "exit-code".into() }, 0),
            (UnitState::Missing, 0),
        ];
        for (state, steps) in table {
            let plan = stopped(Unit::Vrrpd, &state, Part::Vrrp, "it leaves");
            assert_eq!((plan.steps.len(), plan.blocked.len()), (steps, 0), "{state:?}");
        }
        let unknown = stopped(Unit::Vrrpd, &UnitState::Unknown { why: "no bus".into() }, Part::Vrrp, "it leaves");
        assert_eq!((unknown.steps.len(), unknown.blocked.len()), (0, 1));
    }
}
