use crate::etcd::cluster::{Listed, PeerSeen, Role, View};
use crate::etcd::genesis::{Held, Marker, Nonce};
use crate::etcd::plan::plan;
use crate::etcd::plan::tests::{
    ETCD, answers, committed, desired, executed, formed, fresh, healthy, joining, name, outline, prepared, removed,
    sealed, unstarted, view, voter,
};
use crate::etcd::recovery::{Begun, Recovered, Seen, Stage};
use crate::etcd::{DataDirectory, Desired, Local, Observed};
use crate::manifest::{EtcdPhase, Recovery};
use crate::systemd::UnitState;
use std::collections::BTreeMap;

/// The cluster that came out of the recovery of `ETCD`.
const NEW: u64 = 0xf0110;

fn at(text: &str) -> jiff::Timestamp {
    text.parse().unwrap()
}

/// What a directive that names `from` asks of m3.
fn directive(from: u8, snapshot: bool) -> Desired {
    let snapshot = snapshot.then(|| crate::ident::Digest::of(b"snapshot"));
    let order = Recovery { lost: ETCD, from: name(from), snapshot, expires_at: at("2026-11-23T06:00:00Z") };
    Desired { phase: EtcdPhase::Recovery(order), ..desired() }
}

fn nonce() -> Nonce {
    Nonce::of([9; 16])
}

fn begun(stage: Stage) -> Held {
    let begun = Begun { lost: ETCD, member: 3, nonce: nonce(), snapshot: None, stage };
    Held::Marker(Marker::Recovering { cluster: desired().cluster, begun })
}

/// A member list of the lost cluster, as a peer port shows it.
fn of_lost() -> PeerSeen {
    PeerSeen::Members { cluster: ETCD, members: [1, 2, 3].map(voter).into() }
}

/// The survivor m3: etcd runs on the data of the lost cluster and nobody else is up.
fn survivor() -> Observed {
    let down = || PeerSeen::NotListening;
    Observed {
        data: DataDirectory::HasWal,
        held: formed(),
        unit: UnitState::Changing,
        local: Local::Silent { why: "no leader".into() },
        peers: [(name(1), down()), (name(2), down())].into(),
        view: None,
        recovery: Some(Seen { now: at("2026-11-23T01:00:00Z"), own_port: of_lost() }),
        ..healthy()
    }
}

/// A master without data while the directive is in force.
fn wiped(held: Held) -> Observed {
    Observed { data: DataDirectory::Empty, held, unit: UnitState::Inactive, ..no_port(survivor()) }
}

fn no_port(seen: Observed) -> Observed {
    let recovery = seen.recovery.map(|recovery| Seen { own_port: PeerSeen::NotListening, ..recovery });
    Observed { recovery, ..seen }
}

/// The new cluster, with these voters, recorded as following `ETCD`.
fn followed(members: impl IntoIterator<Item = Listed>) -> Option<View> {
    let recovered = Some(Recovered { nonce: nonce(), given_up: vec![0xa, ETCD] });
    view(members).map(|view| View { cluster: NEW, recovered, ..view })
}

fn why(desired: &Desired, seen: &Observed) -> String {
    plan(desired, seen).blocked.iter().map(|blocked| blocked.why.clone()).collect::<Vec<_>>().join("; ")
}

#[test]
fn the_named_master_affirms_the_loss_then_sets_aside_restores_starts_and_records() {
    let order = directive(3, false);
    assert_eq!(outline(&order, &survivor()), "affirm");
    let with = |held: &Held, data, unit| Observed { held: held.clone(), data, unit, ..survivor() };
    let affirmed = begun(Stage::Affirmed);
    assert_eq!(outline(&order, &with(&affirmed, DataDirectory::HasWal, UnitState::Changing)), "stop archive");
    assert_eq!(outline(&order, &with(&affirmed, DataDirectory::HasWal, UnitState::Inactive)), "archive");
    assert_eq!(outline(&order, &with(&affirmed, DataDirectory::Empty, UnitState::Inactive)), "aside");
    let aside = begun(Stage::Aside);
    assert_eq!(outline(&order, &with(&aside, DataDirectory::Empty, UnitState::Inactive)), "restore");
    assert_eq!(outline(&order, &with(&aside, DataDirectory::HasWal, UnitState::Inactive)), "start");
    let Local::Answers(status) = answers(Role::Voter) else { panic!() };
    let runs = |cluster| Observed {
        local: Local::Answers(crate::etcd::LocalStatus { cluster, ..status.clone() }),
        view: view([voter(3)]).map(|view| View { cluster, ..view }),
        ..with(&aside, DataDirectory::HasWal, UnitState::Active)
    };
    assert_eq!(outline(&order, &runs(NEW)), "record-recovery");
    assert_eq!(outline(&order, &runs(ETCD)), "REFUSE", "somebody put the old data back");
    let done = Observed { held: formed_as(NEW), ..runs(NEW) };
    assert_eq!(outline(&order, &done), "", "a later run finds nothing to do");
}

fn formed_as(etcd: u64) -> Held {
    Held::Marker(Marker::Formed { cluster: desired().cluster, etcd, member: 3 })
}

#[test]
fn a_recovery_is_not_begun_on_any_doubt() {
    let order = directive(3, false);
    let late = survivor().recovery.map(|recovery| Seen { now: at("2026-11-23T06:00:00Z"), ..recovery });
    let two_up: BTreeMap<_, _> = [(name(1), of_lost()), (name(2), PeerSeen::NotListening)].into();
    let learner = Listed { role: Role::Learner, ..voter(1) };
    let one_learns = PeerSeen::Members { cluster: ETCD, members: vec![learner, voter(2), voter(3), voter(4)] };
    let foreign = PeerSeen::Members { cluster: NEW, members: [1, 2, 3].map(voter).into() };
    let beside = |port: PeerSeen| {
        let recovery = survivor().recovery.map(|recovery| Seen { own_port: port.clone(), ..recovery });
        let peers = [(name(1), port.clone()), (name(2), PeerSeen::NotListening)].into();
        Observed { recovery, peers, ..survivor() }
    };
    let table = [
        ("the directive ended", Observed { recovery: late, ..survivor() }),
        ("2 of 3 voters", Observed { peers: two_up, ..survivor() }),
        ("it is not lost", Observed { view: view([voter(1), voter(2), voter(3)]), ..survivor() }),
        (
            "does not record that it follows",
            Observed { view: view([voter(1)]).map(|view| View { cluster: NEW, ..view }), ..survivor() },
        ),
        ("does not run here as a member", no_port(survivor())),
        ("does not run here as a member", beside(foreign)),
        ("not looked at", Observed { recovery: None, ..survivor() }),
    ];
    for (expected, seen) in table {
        assert!(!outline(&order, &seen).contains("affirm"), "{expected}");
        assert!(why(&order, &seen).contains(expected), "{expected}: {}", why(&order, &seen));
    }
    assert_eq!(outline(&order, &beside(one_learns)), "affirm", "a learner is no vote");
    let silent = PeerSeen::Silent { why: "timed out".into() };
    let away = Observed { peers: [(name(1), silent.clone()), (name(2), silent)].into(), ..survivor() };
    assert_eq!(outline(&order, &away), "affirm", "that the silent ones are lost is what was signed");
}

#[test]
fn a_recovery_that_was_begun_goes_on_after_its_end_and_stops_when_it_is_not_asked_for() {
    let late = survivor().recovery.map(|recovery| Seen { now: at("2027-01-01T00:00:00Z"), ..recovery });
    let seen = Observed { recovery: late, held: begun(Stage::Affirmed), unit: UnitState::Inactive, ..survivor() };
    assert_eq!(outline(&directive(3, false), &seen), "archive");
    for desired in [desired(), sealed(ETCD), directive(2, false)] {
        assert_eq!(outline(&desired, &seen), "REFUSE", "{:?}", desired.phase);
    }
    assert_eq!(outline(&sealed(NEW), &seen), "archive", "sealed while it was still under way");
}

#[test]
fn a_directive_that_is_not_about_this_masters_data_changes_nothing() {
    let order = directive(3, false);
    let replayed = Observed { held: formed_as(NEW), unit: UnitState::Inactive, view: None, ..survivor() };
    assert_eq!(outline(&order, &replayed), "start", "it has been carried out: this is the data of the new cluster");
    let lost_again = wiped(formed_as(NEW));
    for order in [directive(3, false), directive(3, true)] {
        assert_eq!(outline(&order, &lost_again), "WAIT", "carried out before, and the data is gone");
        assert_eq!(outline(&order, &wiped(removed())), "WAIT");
    }
    for held in [Held::Nothing, prepared(), committed()] {
        assert_eq!(outline(&order, &Observed { held, ..survivor() }), "REFUSE", "nobody knows whose data this is");
    }
}

#[test]
fn a_master_killed_in_genesis_knows_its_cluster_from_its_own_etcd() {
    let order = directive(3, false);
    assert_eq!(outline(&order, &Observed { held: executed(), ..survivor() }), "affirm");
    let stopped = Observed { held: executed(), unit: UnitState::Inactive, ..no_port(survivor()) };
    assert_eq!(outline(&order, &stopped), "start");
}

#[test]
fn without_data_the_named_master_needs_a_snapshot() {
    for held in [Held::Nothing, formed(), joining(), executed()] {
        assert_eq!(outline(&directive(3, false), &wiped(held.clone())), "REFUSE", "{held:?}");
        assert_eq!(outline(&directive(3, true), &wiped(held.clone())), "affirm", "{held:?}");
    }
    let both = [(name(1), of_lost()), (name(2), of_lost())].into();
    let alive = Observed { peers: both, ..wiped(Held::Nothing) };
    assert_eq!(outline(&directive(3, true), &alive), "REFUSE", "a majority runs");
    let damaged = Observed { unit: UnitState::Failed { result: "exit-code".into() }, ..no_port(survivor()) };
    assert_eq!(outline(&directive(3, false), &damaged), "start WAIT", "its own etcd has to show whose data this is");
    assert_eq!(outline(&directive(3, true), &damaged), "affirm", "a snapshot needs no data");
}

#[test]
fn fault_24_the_others_keep_their_data_until_the_new_cluster_records_that_it_follows() {
    let order = directive(2, false);
    let mine = |view| Observed { view, ..survivor() };
    assert!(why(&order, &mine(None)).contains("no cluster has followed it yet"));
    assert!(!outline(&order, &mine(None)).contains("archive"));
    let unrecorded = view([voter(2)]).map(|view| View { cluster: NEW, ..view });
    assert!(!outline(&order, &mine(unrecorded)).contains("archive"));
    for held in [formed(), joining(), executed()] {
        let seen = Observed { held, ..mine(followed([voter(2)])) };
        assert_eq!(outline(&order, &seen), "stop removed archive");
    }
    // It was away, and the manifest was sealed again meanwhile.
    assert_eq!(outline(&sealed(NEW), &mine(followed([voter(1), voter(2)]))), "stop removed archive");
    assert_eq!(outline(&sealed(0xbad), &mine(followed([voter(2)]))), "REFUSE", "another cluster than the sealed one");
    let old_manifest = outline(&desired(), &mine(followed([voter(2)])));
    assert!(!old_manifest.contains("archive"), "{old_manifest}");
    // On the far side of a partition the cluster is alive.
    let alive = mine(view([voter(1), voter(2), voter(3)]));
    assert!(why(&order, &alive).contains("it is not lost"));
}

#[test]
fn an_empty_master_joins_only_the_cluster_that_follows() {
    let order = directive(2, false);
    for held in [Held::Nothing, prepared(), committed(), executed(), joining(), formed(), removed()] {
        let seen = |view| Observed { view, ..wiped(held.clone()) };
        assert_eq!(outline(&order, &seen(None)), "WAIT", "{held:?}");
        assert_eq!(outline(&order, &seen(followed([voter(2)]))), "add", "back from one voter: {held:?}");
        assert_eq!(outline(&order, &seen(followed([voter(2), unstarted(3)]))), "env:join joining start", "{held:?}");
        assert_eq!(outline(&order, &seen(view([voter(1), voter(2)]))), "REFUSE", "the lost cluster is alive");
        let unrecorded = view([voter(2)]).map(|view| View { cluster: NEW, ..view });
        assert_eq!(outline(&order, &seen(unrecorded)), "WAIT");
    }
    let never = Observed { view: view([voter(2)]), ..fresh() };
    assert_eq!(outline(&desired(), &never), "REFUSE", "from any other single voter nothing grows");
}

#[test]
fn a_recovery_that_lost_against_a_later_one_puts_its_data_aside() {
    let recovered = Some(Recovered { nonce: Nonce::of([8; 16]), given_up: vec![ETCD] });
    let other = view([voter(2)]).map(|view| View { cluster: 0xbeef, recovered, ..view });
    for stage in [Stage::Affirmed, Stage::Aside] {
        let seen = Observed { held: begun(stage), view: other.clone(), ..survivor() };
        assert_eq!(outline(&directive(2, false), &seen), "stop removed archive");
        let empty = Observed { data: DataDirectory::Empty, unit: UnitState::Inactive, ..seen };
        assert_eq!(outline(&directive(2, false), &empty), "removed");
    }
    // Its own record, read back through another member: killed right after it was made.
    let own =
        Observed { held: begun(Stage::Aside), view: followed([voter(3)]), unit: UnitState::Inactive, ..survivor() };
    assert_eq!(outline(&directive(3, false), &own), "start");
}
