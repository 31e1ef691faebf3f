use super::*;
use crate::file::{Owner, RenderedFile};
use crate::ident::{Digest, Vrid};
use crate::vrrp::config::Fence;
use crate::vrrp::counters::Counted;
use crate::vrrp::machine::{Obstacle, State as MachineState};
use crate::vrrp::state::State;

fn desired() -> Desired {
    let content = b"{}".to_vec();
    Desired {
        config: RenderedFile { path: "/run/quorate/vrrpd.json".into(), mode: 0o644, owner: Owner::Root, content },
    }
}

fn written() -> ObservedFile {
    ObservedFile::Present { digest: desired().config.digest(), mode: 0o644 }
}

fn running_with(digest: Digest, state: MachineState, obstacle: Option<Obstacle>) -> ObservedState {
    let router = RouterState {
        vrid: Vrid::try_from(51).unwrap(),
        link: "eth0".into(),
        state,
        since: jiff::Timestamp::UNIX_EPOCH,
        why: None,
        obstacle,
        priority: 254,
        active: None,
        transitions: 0,
        recent: Vec::new(),
        addresses: Vec::new(),
        counters: Counted::default(),
    };
    ObservedState::Present(Box::new(State {
        config_digest: digest,
        updated: jiff::Timestamp::UNIX_EPOCH,
        fence: Fence::Lease,
        fence_problem: None,
        fence_refreshes: 0,
        unhealthy: Vec::new(),
        routers: vec![router],
        unassigned: Counted::default(),
    }))
}

#[test]
fn each_observation_leads_to_its_steps_or_says_why_not() {
    let current = desired().config.digest();
    let old = Digest::of(b"old");
    let active = running_with(current, MachineState::Active, None);
    let table: [(ObservedFile, UnitState, ObservedState, &[&str], &str); 8] = [
        (
            ObservedFile::Absent,
            UnitState::Inactive,
            ObservedState::Absent,
            &["write /run/quorate/vrrpd.json", "start quorate-vrrpd.service"],
            "",
        ),
        (written(), UnitState::Inactive, ObservedState::Absent, &["start quorate-vrrpd.service"], ""),
        (written(), UnitState::Active, active, &[], ""),
        (written(), UnitState::Active, running_with(current, MachineState::Backup, None), &[], ""),
        (
            ObservedFile::Present { digest: old, mode: 0o644 },
            UnitState::Active,
            running_with(old, MachineState::Backup, None),
            &["write /run/quorate/vrrpd.json", "reload quorate-vrrpd.service"],
            "",
        ),
        (
            written(),
            UnitState::Active,
            running_with(current, MachineState::Initialize, Some(Obstacle::LinkDown)),
            &[],
            "there is no carrier on 'eth0'",
        ),
        (written(), UnitState::Active, ObservedState::Absent, &[], "it has not written its state yet"),
        (
            written(),
            UnitState::Active,
            ObservedState::Unknown { why: "torn".into() },
            &[],
            "its state cannot be read: torn",
        ),
    ];
    for (config_file, unit, state, steps, why) in table {
        let observed = Observed { config_file, unit, state };
        let plan = plan(&desired(), &observed);
        let found: Vec<String> = plan.steps.iter().map(|step| step.action.to_string()).collect();
        assert_eq!(found, steps, "{observed:?}");
        assert_eq!(plan.blocked.first().map_or("", |blocked| blocked.why.as_str()), why, "{observed:?}");
    }
}
