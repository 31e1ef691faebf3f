use super::*;
use crate::etcd::peer_url;
use crate::ident::{Digest, Generation};
use crate::manifest::EtcdPhase;
use std::net::{IpAddr, Ipv4Addr};

fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
}

fn name(number: u8) -> NodeName {
    format!("m{number}").parse().unwrap()
}

fn desired() -> Desired {
    Desired {
        me: name(1),
        address: address(1),
        members: [1, 2, 3].map(|number| (name(number), address(number))).into(),
        phase: EtcdPhase::Genesis,
        cluster: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
        generation: Generation(2),
        digest: Digest::of(b"manifest"),
    }
}

fn listed(number: u8, role: Role) -> Listed {
    let peer_urls = vec![peer_url(address(number))];
    Listed { id: number.into(), name: name(number).to_string(), peer_urls, client_urls: Vec::new(), role }
}

/// m1 and m2 vote, m3 learns, m9 votes and is in no manifest.
fn view() -> View {
    let members = [(1, Role::Voter), (2, Role::Voter), (3, Role::Learner), (9, Role::Voter)];
    let members = members.map(|(number, role)| listed(number, role));
    View { cluster: 1, ..crate::etcd::plan::tests::view(members).unwrap() }
}

/// The second of a look, and what the learner m3 has applied, if it answers.
type Look = (u64, Option<u64>);

fn looks(looks: &[Look]) -> BTreeMap<u64, Duration> {
    let look = |record: Record, (now_s, applied): &Look| {
        record.after(&desired(), Some(&view()), &applied.iter().map(|applied| (3, *applied)).collect(), *now_s)
    };
    looks.iter().fold(Record::default(), look).still(looks.last().unwrap().0)
}

#[test]
fn a_learner_stands_still_as_long_as_its_applied_index_does() {
    let cases: [(&[Look], u64); 7] = [
        (&[(10, Some(5))], 0),
        (&[(10, Some(5)), (70, Some(5)), (310, Some(5))], 300),
        (&[(10, Some(5)), (70, Some(6)), (310, Some(6))], 240),
        (&[(10, None), (310, None)], 300),
        (&[(10, Some(5)), (100, None), (310, Some(5))], 300),
        (&[(10, Some(5)), (100, None), (310, Some(6))], 0),
        // The clock of another boot: the record is older than the clock.
        (&[(310, Some(5)), (10, Some(5))], 0),
    ];
    for (case, still_s) in cases {
        assert_eq!(looks(case)[&3], Duration::from_secs(still_s), "{case:?}");
    }
}

#[test]
fn a_member_of_no_manifest_is_watched_and_a_voter_of_it_is_not() {
    let still = looks(&[(10, Some(1)), (40, Some(2))]);
    assert_eq!(still.get(&9), Some(&LEAVE_WITHIN));
    assert_eq!((still.get(&1), still.get(&2)), (None, None));
}

#[test]
fn a_loss_of_quorum_or_a_new_role_begins_anew() {
    let nothing = BTreeMap::new();
    let record = Record::default().after(&desired(), Some(&view()), &nothing, 10);
    assert_eq!(record.clone().after(&desired(), None, &nothing, 20).still(20), BTreeMap::new());
    let mut promoted = view();
    promoted.members[3].role = Role::Learner;
    let record = record.after(&desired(), Some(&promoted), &nothing, 400);
    assert_eq!(record.still(400)[&9], Duration::ZERO);
}

#[test]
fn a_learner_that_has_caught_up_in_an_idle_cluster_is_not_stuck() {
    let watched = |leader: Option<u64>, own: Option<u64>| Watched {
        still: [(3, REJOIN_AFTER)].into(),
        applied: [(1, leader), (3, own)].into_iter().filter_map(|(id, applied)| Some((id, applied?))).collect(),
        answering: BTreeSet::new(),
    };
    let cases = [
        (Some(1000), Some(1000), false),
        (Some(1000), Some(901), false),
        (Some(1000), Some(800), true),
        (Some(1000), None, true),
        (None, Some(800), false),
        (None, None, true),
    ];
    for (leader, own, stuck) in cases {
        let watched = watched(leader, own);
        assert_eq!(watched.stuck_for(&view(), 3, REJOIN_AFTER), stuck, "{leader:?} {own:?}");
        assert!(!watched.stuck_for(&view(), 3, EVICT_AFTER), "not yet");
    }
}
