//! Rows of a master that the manifest names no more.

use super::*;

/// A manifest of m1, m2 and m4 arrives on m3, which runs as the healthy member 3.
fn leaving() -> Desired {
    let members = [1, 2, 4].map(|number| (name(number), address(number))).into();
    Desired { members, generation: Generation(2), ..desired() }
}

#[test]
fn a_master_that_is_named_no_more_removes_itself_and_then_puts_its_data_aside() {
    let all = [1, 2, 3].map(|id| (id, Condition::Healthy)).into();
    let seen = Observed { conditions: all, ..healthy() };
    for held in [formed(), joining(), executed()] {
        let listed = Observed { held: held.clone(), ..seen.clone() };
        assert_eq!(outline(&leaving(), &listed), "remove", "{held:?}");
        let gone = Observed { view: view([voter(1), voter(2)]), ..listed.clone() };
        assert_eq!(outline(&leaving(), &gone), "stop removed archive", "{held:?}");
        let exited = Observed { unit: UnitState::Inactive, ..gone.clone() };
        assert_eq!(outline(&leaving(), &exited), "removed archive", "it is not started again");
        let wiped = Observed { data: DataDirectory::Empty, ..exited };
        assert_eq!(outline(&leaving(), &wiped), "removed", "{held:?}");
    }
    let learner = Listed { role: Role::Learner, ..voter(3) };
    let learning = Observed { held: joining(), view: view([voter(1), voter(2), learner]), ..seen.clone() };
    assert_eq!(outline(&leaving(), &learning), "remove", "a learner leaves too");
    let cut = Observed { held: removed(), unit: UnitState::Inactive, ..seen.clone() };
    assert_eq!(outline(&leaving(), &cut), "archive", "killed between the marker and the rename");
    let done = Observed { data: DataDirectory::Empty, held: removed(), ..fresh() };
    assert_eq!(outline(&leaving(), &done), "REFUSE", "it says that it has left");
}

#[test]
fn a_leaving_master_stays_a_member_until_the_others_can_spare_it() {
    let seen = Observed { conditions: [1, 2, 3].map(|id| (id, Condition::Healthy)).into(), ..healthy() };
    let mut down = seen.clone();
    down.conditions.insert(2, Condition::Unhealthy { why: "does not answer".into() });
    assert_eq!(outline(&leaving(), &down), "WAIT", "the others need its vote");
    let rebooted = Observed { unit: UnitState::Inactive, ..down };
    assert_eq!(outline(&leaving(), &rebooted), "start WAIT");
    let alone = Observed { unit: UnitState::Inactive, view: None, ..seen.clone() };
    assert_eq!(outline(&leaving(), &alone), "start", "its vote may be the one that is missing");
    assert_eq!(outline(&leaving(), &Observed { view: None, ..seen.clone() }), "WAIT");
    let other = seen.view.clone().map(|view| View { cluster: 0xbad, ..view });
    assert_eq!(outline(&leaving(), &Observed { view: other, ..seen.clone() }), "REFUSE");
    let newer = seen.view.clone().map(|view| View { generation: Some(Generation(3)), ..view });
    assert_eq!(outline(&leaving(), &Observed { view: newer, ..seen.clone() }), "WAIT", "it may be named again");
    for held in [Held::Nothing, prepared(), committed()] {
        assert_eq!(outline(&leaving(), &Observed { held, ..fresh() }), "REFUSE", "it was never a member");
    }
}

#[test]
fn a_master_whose_name_or_address_another_host_has_now_leaves_as_well() {
    let named_anew = Desired { members: [(name(3), address(9))].into(), ..leaving() };
    assert!(named_anew.is_leaving());
    assert!(!desired().is_leaving());
    assert_eq!(named_anew.peers().count(), 1, "its successor is another master");
}
