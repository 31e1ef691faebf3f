//! Rows of a damaged log, a full disk, a stuck learner, and versions with known faults.

use super::*;
use crate::etcd::wal::tail::Log;

#[test]
fn fault_19_a_damaged_log_is_replaced_by_its_own_master_with_the_others_quorum_and_kept_otherwise() {
    let torn = |held: Held, view| Observed {
        data: DataDirectory::HasWal,
        damage: Some(Damage { segment: "0.wal".into(), offset: 64, why: "a checksum".into() }),
        unit: UnitState::Failed { result: "exit-code".into() },
        held,
        view,
        ..fresh()
    };
    let all = || view([voter(1), voter(2), voter(3)]);
    for held in [formed(), joining()] {
        assert_eq!(outline(&desired(), &torn(held.clone(), all())), "removed archive");
        assert_eq!(outline(&desired(), &torn(held.clone(), None)), "WAIT", "no quorum: it may be the last copy");
        let mut down = torn(held.clone(), all());
        down.conditions.insert(2, Condition::Unhealthy { why: "does not answer".into() });
        assert_eq!(outline(&desired(), &down), "WAIT", "two voters of three are needed without it");
        let other = all().map(|view| View { cluster: 0xbad, ..view });
        assert_eq!(outline(&desired(), &torn(held.clone(), other)), "REFUSE");
    }
    assert_eq!(outline(&desired(), &torn(executed(), all())), "REFUSE", "whose member it was is not certain");
}

#[test]
fn fault_26_a_partition_without_room_begins_no_membership_and_an_existing_one_is_started() {
    let full = |seen: Observed| Observed { room: Err("5 MiB free".into()), ..seen };
    for held in [Held::Nothing, committed(), formed()] {
        let seen = Observed { held, view: view([voter(1), voter(2)]), ..fresh() };
        assert_eq!(outline(&desired(), &full(seen)), "REFUSE");
    }
    let existing = Observed { data: DataDirectory::HasWal, held: formed(), ..fresh() };
    assert_eq!(outline(&desired(), &full(existing)), "env start");
}

#[test]
fn a_stuck_learner_is_given_up_by_its_own_master_whether_it_answers_or_not() {
    let learner = Listed { role: Role::Learner, ..voter(3) };
    let still =
        |still| Watched { still: [(3, still)].into(), applied: [(1, 1000), (3, 10)].into(), ..Watched::default() };
    let seen = |local, watched| Observed {
        held: joining(),
        local,
        watched,
        view: view([voter(1), voter(2), learner.clone()]),
        ..healthy()
    };
    let silent = || Local::Silent { why: "timed out".into() };
    for local in [answers(Role::Learner), silent()] {
        assert_eq!(outline(&desired(), &seen(local, still(REJOIN_AFTER))), "remove");
    }
    let shortly_before = still(REJOIN_AFTER - std::time::Duration::from_secs(1));
    assert_eq!(outline(&desired(), &seen(answers(Role::Learner), shortly_before.clone())), "promote");
    assert_eq!(outline(&desired(), &seen(silent(), shortly_before)), "WAIT");
    let voter = Observed { held: joining(), watched: still(REJOIN_AFTER), ..healthy() };
    assert_eq!(outline(&desired(), &voter), "record", "it was promoted after all");
}

#[test]
fn fault_18_no_member_list_is_changed_by_a_version_that_would_do_harm_by_it() {
    let with = |version: &str| Observed {
        versions: [(1, "3.5.30".into()), (2, version.into())].into(),
        view: view([voter(1), voter(2)]),
        ..fresh()
    };
    assert_eq!(outline(&desired(), &with("3.5.30")), "add");
    assert_eq!(outline(&desired(), &with("3.5.2")), "REFUSE");
    assert_eq!(outline(&desired(), &with("devel")), "REFUSE");
    let named = plan(&desired(), &with("3.5.16"));
    assert!(named.steps[0].why.contains("note that 2 (m2) runs etcd 3.5.16"), "{named:?}");
    let stale = Observed { view: view([voter(1), voter(2), voter(3)]), ..with("3.6.0") };
    assert_eq!(outline(&desired(), &stale), "REFUSE", "a removal is a change, too");
    let running = Observed { versions: [(3, "3.5.0".into())].into(), unit: UnitState::Inactive, ..healthy() };
    assert_eq!(outline(&desired(), &running), "start", "what was a member is started in any case");
}

#[test]
fn fault_05_data_that_went_back_in_time_is_not_started() {
    let past = |member, last| highwater::Seen {
        mark: Some(highwater::Mark { cluster: ETCD, member: 3, term: 2, applied: 100 }),
        log: Some(Log { cluster: ETCD, member, term: 2, commit: last, last }),
    };
    for held in [formed(), joining()] {
        for unit in [UnitState::Inactive, UnitState::Failed { result: "exit-code".into() }] {
            let seen = |past, view| Observed {
                data: DataDirectory::HasWal,
                held: held.clone(),
                unit: unit.clone(),
                past,
                view,
                ..fresh()
            };
            assert_eq!(outline(&desired(), &seen(past(3, 100), None)), "env start");
            assert_eq!(outline(&desired(), &seen(past(3, 99), None)), "WAIT", "a majority may rest on what it forgot");
            let others = || view([voter(1), voter(2), voter(3)]);
            assert_eq!(outline(&desired(), &seen(past(3, 99), others())), "removed archive", "then it rejoins");
            let mark = past(3, 0).mark.unwrap();
            let remembers = others().map(|view| View { marks: [(name(3), mark)].into(), ..view });
            let forgot = highwater::Seen { mark: None, ..past(3, 99) };
            assert_eq!(outline(&desired(), &seen(forgot, remembers)), "removed archive", "its mark went back as well");
            assert_eq!(outline(&desired(), &seen(past(4, 200), None)), "REFUSE", "another member's data");
            assert_eq!(outline(&desired(), &seen(past(4, 200), others())), "REFUSE", "and it is kept");
        }
    }
}
