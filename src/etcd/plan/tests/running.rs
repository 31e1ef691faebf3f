//! Rows of a member that runs: what it still lacks.

use super::*;

#[test]
fn a_member_with_an_alarm_is_not_healthy() {
    let Local::Answers(status) = answers(Role::Voter) else { panic!() };
    let with = |alarm: &str| Observed {
        local: Local::Answers(LocalStatus { alarms: vec![alarm.into()], ..status.clone() }),
        ..healthy()
    };
    for alarm in ["memberID:1 alarm:NOSPACE ", "memberID:2 alarm:CORRUPT", "alarm:NEW"] {
        assert_eq!(outline(&desired(), &with(alarm)), "REFUSE", "{alarm}");
    }
    let named = plan(&desired(), &with("memberID:1 alarm:NOSPACE "));
    assert!(named.blocked[0].why.contains("the database of member 1 (m1)"), "{named:?}");
    // With CORRUPT etcd answers no read; that is not a lost quorum.
    let silent = plan(&desired(), &Observed { view: None, ..with("memberID:2 alarm:CORRUPT") });
    assert!(silent.blocked[0].why.starts_with("CORRUPT"), "{silent:?}");
}

#[test]
fn the_lowest_named_healthy_master_removes_what_no_manifest_names() {
    let shrunk = |me: u8| Desired {
        me: name(me),
        address: address(me),
        members: [1, 3].map(|number| (name(number), address(number))).into(),
        ..desired()
    };
    let mut seen = healthy();
    seen.files.clear();
    seen.conditions = [1, 2, 3].map(|id| (id, Condition::Healthy)).into();
    let outline = |seen: &Observed| outline(&shrunk(3), seen).replace("env", "").trim().to_owned();
    assert_eq!(outline(&seen), "WAIT", "it is the turn of m1");
    seen.conditions.insert(1, Condition::Unhealthy { why: "does not answer".into() });
    assert_eq!(outline(&seen), "WAIT", "m1 is listed and down: nobody is removed meanwhile (M4)");
}

#[test]
fn a_running_member_is_promoted_then_recorded() {
    let learner = Listed { role: Role::Learner, ..voter(3) };
    let seen = Observed {
        held: joining(),
        local: answers(Role::Learner),
        view: view([voter(1), voter(2), learner]),
        ..healthy()
    };
    assert_eq!(outline(&desired(), &seen), "promote");
    for held in [joining(), executed()] {
        assert_eq!(outline(&desired(), &Observed { held, ..healthy() }), "record");
    }
}

#[test]
fn a_new_cluster_is_waited_for_with_the_agent_listening() {
    for unit in [UnitState::Changing, UnitState::Active] {
        let seen = Observed { held: executed(), unit, view: None, ..healthy() };
        assert_eq!(outline(&desired(), &seen), "await");
    }
    let seen = Observed { unit: UnitState::Changing, view: None, ..healthy() };
    assert_eq!(outline(&desired(), &seen), "WAIT", "a formed cluster needs no agent");
}

#[test]
fn a_running_member_without_quorum_or_answer_waits() {
    assert_eq!(outline(&desired(), &Observed { view: None, ..healthy() }), "WAIT");
    let silent = Local::Silent { why: "timed out".into() };
    assert_eq!(outline(&desired(), &Observed { local: silent, ..healthy() }), "WAIT");
}

#[test]
fn a_running_member_of_another_cluster_is_refused() {
    let Local::Answers(status) = answers(Role::Voter) else { panic!() };
    let local = Local::Answers(LocalStatus { member: 9, ..status });
    assert_eq!(outline(&desired(), &Observed { local, ..healthy() }), "REFUSE", "another member than the marker's");
    let other = View { cluster: 0xbad, ..view([voter(1), voter(2), voter(3)]).unwrap() };
    assert_eq!(outline(&desired(), &Observed { view: Some(other), ..healthy() }), "REFUSE");
    let Local::Answers(status) = answers(Role::Voter) else { panic!() };
    let local = Local::Answers(LocalStatus { cluster: 0xbad, ..status });
    assert_eq!(outline(&desired(), &Observed { local, ..healthy() }), "REFUSE");
}

#[test]
fn new_stays_in_the_environment_only_until_there_is_a_log() {
    let mut seen = healthy();
    let new = environment(&name(3), address(3), &seen.places, &Start::New(round()));
    seen.files.insert(new.path.clone(), ObservedFile::Present { digest: new.digest(), mode: new.mode });
    assert_eq!(outline(&desired(), &seen), "env");
}
