use super::*;
use crate::ident::{Digest, Generation};
use crate::manifest::EtcdPhase;
use std::net::{IpAddr, Ipv4Addr};

fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
}

fn name(number: u8) -> NodeName {
    format!("m{number}").parse().unwrap()
}

fn desired(me: u8, masters: &[u8]) -> Desired {
    Desired {
        me: name(me),
        address: address(me),
        members: masters.iter().map(|number| (name(*number), address(*number))).collect(),
        phase: EtcdPhase::Genesis,
        cluster: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
        generation: Generation(2),
        digest: Digest::of(b"manifest"),
    }
}

fn voter(number: u8) -> Listed {
    Listed {
        id: number.into(),
        name: name(number).to_string(),
        peer_urls: vec![peer_url(address(number))],
        client_urls: vec![super::super::client_url(address(number))],
        role: Role::Voter,
    }
}

fn view(members: impl IntoIterator<Item = Listed>) -> View {
    View { cluster: 1, ..crate::etcd::plan::tests::view(members).unwrap() }
}

fn healthy(numbers: &[u8]) -> BTreeMap<u64, Condition> {
    numbers.iter().map(|number| (u64::from(*number), Condition::Healthy)).collect()
}

/// Everybody has had the time to leave by himself, and no learner is stuck yet.
fn long() -> Watched {
    Watched { still: (1..=9).map(|id| (id, LEAVE_WITHIN)).collect(), ..Watched::default() }
}

fn hold(due: &Due) -> Option<Hold> {
    match due {
        Due::Blocked(blocked) => Some(blocked.hold),
        _ => None,
    }
}

#[test]
fn fault_12_the_url_says_whose_entry_it_is_and_the_name_may_not_contradict() {
    let desired = desired(1, &[1, 2]);
    assert_eq!(fit(&desired, &voter(2)), Fit::Master(name(2)));
    assert_eq!(fit(&desired, &Listed { name: String::new(), ..voter(2) }), Fit::Master(name(2)));
    assert_eq!(fit(&desired, &voter(3)), Fit::Foreign);
    let moved = Listed { peer_urls: vec![peer_url(address(9))], ..voter(2) };
    assert_eq!(fit(&desired, &moved), Fit::Foreign);
    assert!(matches!(fit(&desired, &Listed { name: "m1".into(), ..voter(2) }), Fit::Discord { .. }));
}

#[test]
fn a_list_as_in_the_manifest_asks_for_nothing() {
    let members = view([voter(1), voter(2), voter(3)]);
    assert_eq!(due(&desired(1, &[1, 2, 3]), &members, &healthy(&[1, 2, 3]), &long()), Due::Nothing);
    assert_eq!(
        due(&desired(1, &[1, 2, 3, 4]), &members, &healthy(&[1, 2, 3]), &long()),
        Due::Nothing,
        "m4 adds itself"
    );
}

#[test]
fn a_replaced_master_is_removed_by_the_first_healthy_one_whether_it_lives_or_not() {
    let members = view([voter(1), voter(2), voter(3)]);
    for alive in [&[1, 2, 3][..], &[1, 2]] {
        assert_eq!(due(&desired(1, &[1, 2, 4]), &members, &healthy(alive), &long()), Due::Remove(voter(3)));
        assert_eq!(hold(&due(&desired(2, &[1, 2, 4]), &members, &healthy(alive), &long())), Some(Hold::Waiting));
    }
}

#[test]
fn five_shrink_to_three_dead_members_first() {
    let members = view([voter(1), voter(2), voter(3), voter(4), voter(5)]);
    let wanted = desired(1, &[1, 2, 3]);
    assert_eq!(due(&wanted, &members, &healthy(&[1, 2, 3, 4]), &long()), Due::Remove(voter(5)));
    assert_eq!(due(&wanted, &members, &healthy(&[1, 2, 3, 5]), &long()), Due::Remove(voter(4)));
    assert_eq!(
        due(&wanted, &members, &healthy(&[1, 2, 3]), &long()),
        Due::Remove(voter(4)),
        "both dead, one at a time"
    );
}

#[test]
fn an_orphan_learner_goes_first() {
    let orphan = Listed { name: String::new(), client_urls: Vec::new(), role: Role::Learner, ..voter(9) };
    let members = view([voter(1), voter(2), voter(3), orphan.clone()]);
    assert_eq!(due(&desired(1, &[1, 2, 4]), &members, &healthy(&[1, 2, 3]), &long()), Due::Remove(orphan.clone()));
    assert_eq!(
        due(&desired(1, &[1, 2, 3]), &members, &healthy(&[1, 2]), &long()),
        Due::Remove(orphan),
        "whoever is down"
    );
}

#[test]
fn fault_16_the_next_master_is_replaced_only_after_the_first_replacement_votes() {
    let learning = Listed { role: Role::Learner, ..voter(4) };
    let members = view([voter(1), voter(2), voter(3), learning]);
    let due = due(&desired(1, &[1, 2, 4]), &members, &healthy(&[1, 2, 3, 4]), &long());
    assert_eq!(hold(&due), Some(Hold::Waiting));
}

#[test]
fn nobody_is_removed_while_a_listed_master_is_down() {
    let members = view([voter(1), voter(2), voter(3), voter(4), voter(5)]);
    let down = due(&desired(1, &[1, 2, 3]), &members, &healthy(&[1, 2, 4, 5]), &long());
    assert_eq!(hold(&down), Some(Hold::Waiting), "m3 may be rebooting (fault 25)");
}

#[test]
fn a_listed_master_is_never_removed_by_another_one() {
    let members = view([voter(1), voter(2), voter(3)]);
    let refused = removal(&desired(1, &[1, 2, 3]), &members, &healthy(&[1, 2]), &voter(3)).unwrap_err();
    assert_eq!(refused.hold, Hold::Refused);
    assert!(removal(&desired(3, &[1, 2, 3]), &members, &healthy(&[1, 2]), &voter(3)).is_ok(), "its own stale entry");
}

#[test]
fn no_removal_and_no_addition_without_the_quorum_to_carry_it() {
    let members = view([voter(1), voter(2), voter(3)]);
    let wanted = desired(3, &[1, 2, 3]);
    assert!(removal(&wanted, &members, &healthy(&[1]), &voter(3)).is_err());
    let four = desired(4, &[1, 2, 3, 4, 5]);
    assert!(addition(&four, &members, &healthy(&[1, 2, 3])).is_ok());
    assert!(addition(&four, &members, &healthy(&[1, 2])).is_err(), "etcd refuses it too (E8)");
    let learning = view([voter(1), voter(2), voter(3), Listed { role: Role::Learner, ..voter(5) }]);
    assert!(addition(&four, &learning, &healthy(&[1, 2, 3])).is_err(), "one learner at a time");
}

#[test]
fn an_older_manifest_changes_nothing() {
    let members = View { generation: Some(Generation(3)), ..view([voter(1), voter(2), voter(3)]) };
    assert_eq!(hold(&due(&desired(1, &[1, 2, 4]), &members, &healthy(&[1, 2, 3]), &long())), Some(Hold::Waiting));
    assert!(addition(&desired(4, &[1, 2, 4]), &members, &healthy(&[1, 2, 3])).is_err());
}

#[test]
fn a_living_member_of_no_manifest_gets_time_to_leave_and_a_dead_one_does_not() {
    let members = view([voter(1), voter(2), voter(3)]);
    let wanted = desired(1, &[1, 2, 4]);
    let alive = due(&wanted, &members, &healthy(&[1, 2, 3]), &Watched::default());
    assert!(matches!(&alive, Due::Blocked(blocked) if blocked.unblock == "it leaving by itself"), "{alive:?}");
    assert_eq!(due(&wanted, &members, &healthy(&[1, 2]), &Watched::default()), Due::Remove(voter(3)));
}

#[test]
fn a_stuck_learner_is_evicted_by_one_master_when_its_own_host_does_not_answer() {
    let learner = Listed { role: Role::Learner, ..voter(3) };
    let members = view([voter(1), voter(2), learner.clone()]);
    let watched = |still, answering: &[u8]| Watched {
        still: [(3, still)].into(),
        applied: [(1, 1000), (3, 7)].into(),
        answering: answering.iter().map(|number| name(*number)).collect(),
    };
    let due = |me, watched: &Watched| due(&desired(me, &[1, 2, 3]), &members, &healthy(&[1, 2]), watched);
    assert_eq!(due(1, &watched(LEAVE_WITHIN, &[])), Due::Nothing, "a joining one is nobody's business");
    assert_eq!(due(1, &watched(EVICT_AFTER, &[])), Due::Evict { entry: learner, applied: Some(7) });
    assert_eq!(hold(&due(2, &watched(EVICT_AFTER, &[]))), Some(Hold::Waiting), "it is the turn of m1");
    assert_eq!(hold(&due(1, &watched(EVICT_AFTER, &[3]))), Some(Hold::Waiting), "its master can help itself");
    assert_eq!(due(3, &watched(EVICT_AFTER, &[])), Due::Nothing, "its own learner is the plan's row");
}
