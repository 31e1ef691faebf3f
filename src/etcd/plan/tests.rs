use super::*;
use crate::etcd::cluster::{Condition, Listed, PeerSeen, View};
use crate::etcd::genesis::{Nonce, Round, Stamp};
use crate::etcd::{Places, client_url, peer_url};
use crate::file::ObservedFile;
use crate::ident::{Digest, Generation, NodeName};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

pub(in crate::etcd) const ETCD: u64 = 0xc1;

pub(in crate::etcd) fn address(number: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, number))
}

pub(in crate::etcd) fn name(number: u8) -> NodeName {
    format!("m{number}").parse().unwrap()
}

/// What a manifest of m1, m2 and m3 asks of m3.
pub(in crate::etcd) fn desired() -> Desired {
    Desired {
        me: name(3),
        address: address(3),
        members: [1, 2, 3].map(|number| (name(number), address(number))).into(),
        phase: EtcdPhase::Genesis,
        cluster: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
        generation: Generation(1),
        digest: Digest::of(b"manifest"),
    }
}

pub(in crate::etcd) fn sealed(cluster_id: u64) -> Desired {
    Desired { phase: EtcdPhase::Formed { cluster_id }, ..desired() }
}

fn round() -> Round {
    Round { cluster: desired().cluster, members: desired().members, nonce: Nonce::of([7; 16]) }
}

pub(in crate::etcd) fn prepared() -> Held {
    Held::Marker(Marker::Prepared { round: round() })
}

pub(in crate::etcd) fn committed() -> Held {
    Held::Marker(Marker::Committed { round: round() })
}

pub(in crate::etcd) fn executed() -> Held {
    Held::Marker(Marker::Executed { round: round(), untouched: Some(stamp(1)) })
}

fn stamp(modified_ns: i64) -> Stamp {
    Stamp { device: 1, inode: 2, modified_s: 3, modified_ns }
}

pub(in crate::etcd) fn joining() -> Held {
    Held::Marker(Marker::Joining { cluster: desired().cluster, etcd: ETCD, member: 3 })
}

pub(in crate::etcd) fn formed() -> Held {
    Held::Marker(Marker::Formed { cluster: desired().cluster, etcd: ETCD, member: 3 })
}

pub(in crate::etcd) fn removed() -> Held {
    Held::Marker(Marker::Removed { cluster: desired().cluster, etcd: ETCD, member: 3 })
}

pub(in crate::etcd) fn voter(number: u8) -> Listed {
    Listed {
        id: number.into(),
        name: name(number).to_string(),
        peer_urls: vec![peer_url(address(number))],
        client_urls: vec![client_url(address(number))],
        role: Role::Voter,
    }
}

/// A member that was added and never ran.
pub(in crate::etcd) fn unstarted(number: u8) -> Listed {
    Listed { name: String::new(), client_urls: Vec::new(), role: Role::Learner, ..voter(number) }
}

pub(in crate::etcd) fn view(members: impl IntoIterator<Item = Listed>) -> Option<View> {
    let members = members.into_iter().collect();
    Some(View { cluster: ETCD, members, leader: 1, genesis: None, generation: None, recovered: None, from: name(1) })
}

pub(in crate::etcd) fn answers(role: Role) -> Local {
    Local::Answers(LocalStatus {
        cluster: ETCD,
        member: 3,
        version: "3.5.30".into(),
        role,
        leader: Some(1),
        applied: 10,
        alarms: Vec::new(),
    })
}

fn material() -> Material {
    Material::new(b"key".to_vec(), b"certificate".to_vec(), b"ca".to_vec())
}

/// A host with an empty data directory, nothing running and silent peers.
pub(in crate::etcd) fn fresh() -> Observed {
    let silent = || PeerSeen::Silent { why: "timed out".into() };
    Observed {
        data: DataDirectory::Empty,
        stamp: Some(stamp(9)),
        room: Ok(()),
        damage: None,
        held: Held::Nothing,
        unit: UnitState::Inactive,
        material: Ok(material()),
        files: BTreeMap::new(),
        local: Local::Silent { why: "nothing listens".into() },
        peers: [1, 2].map(|number| (name(number), silent())).into(),
        view: None,
        conditions: [1, 2].map(|id| (id, Condition::Healthy)).into(),
        recovery: None,
        places: Places { run: "/run/quorate/etcd".into(), data: "/var/lib/etcd".into() },
    }
}

/// A member as it should be: running, voting, recorded, its files in place.
pub(in crate::etcd) fn healthy() -> Observed {
    let seen = fresh();
    let mut wanted = key_files(&seen.places, &material()).to_vec();
    wanted.push(environment(&name(3), address(3), &seen.places, &Start::Existing));
    let present = |file: &RenderedFile| ObservedFile::Present { digest: file.digest(), mode: file.mode };
    Observed {
        data: DataDirectory::HasWal,
        held: formed(),
        unit: UnitState::Active,
        files: wanted.iter().map(|file| (file.path.clone(), present(file))).collect(),
        local: answers(Role::Voter),
        view: view([voter(1), voter(2), voter(3)]),
        ..seen
    }
}

/// The plan in one line: steps by their kind, blocked items by their hold.
pub(in crate::etcd) fn outline(desired: &Desired, seen: &Observed) -> String {
    let plan = plan(desired, seen);
    let mut words = Vec::new();
    for step in &plan.steps {
        let word = match &step.action {
            Action::Render { file } if file.path.ends_with("environment") => {
                let text = String::from_utf8_lossy(&file.content);
                if text.contains("=new\n") {
                    "env:new"
                } else if text.contains("ETCD_INITIAL_CLUSTER=") {
                    "env:join"
                } else {
                    "env"
                }
            }
            Action::Render { .. } => continue,
            Action::FormCluster { .. } => "form",
            Action::AwaitFormation => "await",
            Action::WriteMarker { marker: Marker::Committed { .. } } => "committed",
            Action::WriteMarker { marker: Marker::Executed { .. } } => "executed",
            Action::WriteMarker { marker: Marker::Joining { .. } } => "joining",
            Action::AddLearner { .. } => "add",
            Action::Promote { .. } => "promote",
            Action::RecordFormed { .. } => "record",
            Action::RemoveMember { .. } => "remove",
            Action::ArchiveData { .. } => "archive",
            Action::WriteMarker { marker: Marker::Removed { .. } } => "removed",
            Action::WriteMarker { marker: Marker::Recovering { .. } } => "aside",
            Action::WriteMarker { .. } => "marker",
            Action::Recovery(recovery::Action::Affirm { .. }) => "affirm",
            Action::Recovery(recovery::Action::Restore { .. }) => "restore",
            Action::Recovery(recovery::Action::Record { .. }) => "record-recovery",
            Action::Unit(action) if action.verb == systemd::Verb::Stop => "stop",
            Action::Unit(_) => "start",
        };
        words.push(word);
    }
    for blocked in &plan.blocked {
        words.push(match blocked.hold {
            Hold::Waiting => "WAIT",
            Hold::Refused => "REFUSE",
        });
    }
    words.join(" ")
}

#[test]
fn a_healthy_member_has_nothing_to_do() {
    assert_eq!(outline(&desired(), &healthy()), "");
    assert_eq!(outline(&sealed(ETCD), &healthy()), "");
}

#[test]
fn an_existing_data_directory_is_started_without_asking_anybody() {
    for held in [formed(), joining(), executed()] {
        for unit in [UnitState::Inactive, UnitState::Failed { result: "exit-code".into() }] {
            let seen = Observed { data: DataDirectory::HasWal, held: held.clone(), unit, ..fresh() };
            assert_eq!(outline(&desired(), &seen), "env start", "{held:?}");
        }
    }
}

#[test]
fn data_that_quorate_did_not_put_there_is_refused() {
    for held in [Held::Nothing, prepared(), committed(), Held::Unknown { why: "torn".into() }] {
        let seen = Observed { data: DataDirectory::HasWal, held: held.clone(), ..fresh() };
        assert_eq!(outline(&desired(), &seen), "REFUSE", "{held:?}");
    }
    let seen = Observed { data: DataDirectory::HasWal, held: formed(), ..fresh() };
    assert_eq!(outline(&sealed(0xbad), &seen), "REFUSE", "another cluster than the sealed one");
    let moved = Desired { cluster: "00000000-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(), ..desired() };
    assert_eq!(outline(&moved, &seen), "REFUSE", "another manifest cluster");
}

#[test]
fn unknown_storage_keys_or_leftovers_change_nothing() {
    let unknown = DataDirectory::Unknown { why: "read-only".into() };
    for held in [Held::Nothing, prepared(), committed(), formed()] {
        let seen = Observed { data: unknown.clone(), held, view: view([voter(1), voter(2)]), ..fresh() };
        assert_eq!(outline(&desired(), &seen), "REFUSE");
    }
    let foreign = DataDirectory::Foreign { found: "member/snap".into() };
    assert_eq!(outline(&desired(), &Observed { data: foreign, ..fresh() }), "REFUSE");
    assert_eq!(outline(&desired(), &Observed { material: Err("none".into()), ..healthy() }), "REFUSE");
}

#[test]
fn an_empty_directory_without_any_cluster_forms_only_in_genesis() {
    let not_listening = || [1, 2].map(|number| (name(number), PeerSeen::NotListening)).into();
    let forming = PeerSeen::Members { cluster: ETCD, members: vec![Listed { client_urls: vec![], ..voter(1) }] };
    for peers in [fresh().peers, not_listening(), BTreeMap::from([(name(1), forming)])] {
        let seen = |held| Observed { held, peers: peers.clone(), ..fresh() };
        assert_eq!(outline(&desired(), &seen(Held::Nothing)), "form");
        assert_eq!(outline(&desired(), &seen(prepared())), "form");
        assert_eq!(outline(&desired(), &seen(committed())), "env:new executed start");
        for held in [executed(), joining(), formed(), removed()] {
            assert_eq!(outline(&desired(), &seen(held)), "WAIT", "data was lost: never new");
        }
        for held in [Held::Nothing, prepared(), committed(), executed(), joining(), formed(), removed()] {
            assert_eq!(outline(&sealed(ETCD), &seen(held)), "WAIT", "a sealed manifest never forms");
        }
    }
}

#[test]
fn an_etcd_that_never_touched_its_directory_is_started_again() {
    let seen = |stamp| Observed { held: executed(), stamp, ..fresh() };
    assert_eq!(outline(&desired(), &seen(Some(stamp(1)))), "env:new executed start");
    assert_eq!(outline(&desired(), &seen(Some(stamp(2)))), "WAIT", "something was there and is gone");
    assert_eq!(outline(&desired(), &seen(None)), "WAIT");
    let unknown = Held::Marker(Marker::Executed { round: round(), untouched: None });
    assert_eq!(outline(&desired(), &Observed { held: unknown, stamp: None, ..fresh() }), "WAIT");
}

#[test]
fn a_commitment_for_other_masters_is_refused() {
    let former = Round { members: [(name(3), address(3))].into(), ..round() };
    let seen = Observed { held: Held::Marker(Marker::Committed { round: former }), ..fresh() };
    assert_eq!(outline(&desired(), &seen), "REFUSE");
}

#[test]
fn a_cluster_without_quorum_is_waited_for() {
    let shows = PeerSeen::Members { cluster: ETCD, members: vec![voter(1), voter(2), voter(3)] };
    let peers: BTreeMap<_, _> = [(name(1), shows), (name(2), PeerSeen::NotListening)].into();
    for held in [Held::Nothing, prepared(), executed(), joining(), formed(), removed()] {
        let seen = Observed { held: held.clone(), peers: peers.clone(), ..fresh() };
        assert_eq!(outline(&desired(), &seen), "WAIT", "{held:?}");
    }
    let seen = Observed { held: committed(), peers, ..fresh() };
    assert_eq!(outline(&desired(), &seen), "env:new executed start", "its start may give the others their quorum");
}

#[test]
fn a_late_master_of_the_recorded_genesis_starts_new_unless_its_entry_has_run() {
    let late = Listed { client_urls: Vec::new(), ..voter(3) };
    let recorded = |third, nonce| {
        let view = view([voter(1), voter(2), third]).map(|view| View { genesis: Some(nonce), ..view });
        Observed { held: prepared(), view, ..fresh() }
    };
    assert_eq!(outline(&desired(), &recorded(late.clone(), round().nonce)), "committed env:new executed start");
    assert_eq!(outline(&sealed(ETCD), &recorded(late.clone(), round().nonce)), "committed env:new executed start");
    for seen in [recorded(voter(3), round().nonce), recorded(late, Nonce::of([8; 16]))] {
        let outline = outline(&desired(), &seen);
        assert!(!outline.contains("new"), "{outline}");
    }
}

#[test]
fn an_empty_directory_beside_a_cluster_with_quorum_joins_as_a_learner() {
    for held in [Held::Nothing, prepared(), executed(), formed(), removed()] {
        let seen = |view| Observed { held: held.clone(), view, ..fresh() };
        assert_eq!(outline(&desired(), &seen(view([voter(1), voter(2)]))), "add");
        assert_eq!(
            outline(&desired(), &seen(view([voter(1), voter(2), unstarted(3)]))),
            "env:join joining start",
            "an entry of its own that never started is adopted"
        );
        assert_eq!(outline(&desired(), &seen(view([voter(1), voter(2), unstarted(4)]))), "WAIT", "one at a time");
    }
    let other = Observed { view: view([voter(1), voter(2)]), ..fresh() };
    assert_eq!(outline(&sealed(0xbad), &other), "REFUSE", "another cluster than the sealed one");
}

#[test]
fn a_reinstalled_master_removes_its_own_stale_entry_first() {
    for held in [Held::Nothing, prepared(), executed(), joining(), formed(), removed()] {
        let stale = |third| Observed { held: held.clone(), view: view([voter(1), voter(2), third]), ..fresh() };
        assert_eq!(outline(&desired(), &stale(voter(3))), "remove", "{held:?}");
        let started_learner = Listed { role: Role::Learner, ..voter(3) };
        assert_eq!(outline(&desired(), &stale(started_learner)), "remove", "{held:?}");
    }
}

#[test]
fn a_stale_entry_is_kept_while_its_removal_could_cost_the_quorum_or_its_owner_is_not_certain() {
    let stale = Observed { view: view([voter(1), voter(2), voter(3)]), ..fresh() };
    let condition = |id, condition| {
        let mut seen = stale.clone();
        seen.conditions.insert(id, condition);
        seen
    };
    let down = Condition::Unhealthy { why: "does not answer".into() };
    assert_eq!(outline(&desired(), &condition(2, down)), "WAIT", "another master is down (M4)");
    assert_eq!(outline(&desired(), &condition(3, Condition::Healthy)), "REFUSE", "somebody runs as this member");
    let renamed = Observed { view: view([voter(1), Listed { name: "x".into(), ..voter(3) }]), ..fresh() };
    assert_eq!(outline(&desired(), &renamed), "REFUSE", "URL and name disagree (M5)");
}

#[test]
fn a_master_with_an_older_manifest_changes_nothing() {
    let newer = |members: &[u8]| {
        let view = view(members.iter().map(|number| voter(*number)));
        view.map(|view| View { generation: Some(Generation(2)), ..view })
    };
    assert_eq!(outline(&desired(), &Observed { view: newer(&[1, 2]), ..fresh() }), "WAIT");
    assert_eq!(outline(&desired(), &Observed { view: newer(&[1, 2, 3]), ..fresh() }), "WAIT");
}

#[test]
fn fault_06_a_learner_is_not_started_before_every_reachable_master_lists_it() {
    let shows = |numbers: &[u8]| PeerSeen::Members {
        cluster: ETCD,
        members: numbers.iter().map(|number| voter(*number)).collect(),
    };
    let seen = |second| Observed {
        view: view([voter(1), voter(2), unstarted(3)]),
        peers: [(name(1), shows(&[1, 2, 3])), (name(2), second)].into(),
        ..fresh()
    };
    assert_eq!(outline(&desired(), &seen(shows(&[1, 2]))), "WAIT");
    assert_eq!(outline(&desired(), &seen(shows(&[1, 2, 3]))), "env:join joining start");
    let silent = PeerSeen::Silent { why: "timed out".into() };
    assert_eq!(outline(&desired(), &seen(silent)), "env:join joining start");
}

#[test]
fn the_data_of_a_membership_that_ended_is_put_aside() {
    let gone = view([voter(1), voter(2)]);
    for held in [formed(), joining()] {
        let seen =
            |unit| Observed { data: DataDirectory::HasWal, held: held.clone(), unit, view: gone.clone(), ..fresh() };
        assert_eq!(outline(&desired(), &seen(UnitState::Failed { result: "protocol".into() })), "removed archive");
        assert_eq!(outline(&desired(), &seen(UnitState::Active)), "stop removed archive", "it may hang (E16)");
    }
    let seen = Observed { data: DataDirectory::HasWal, held: removed(), ..fresh() };
    assert_eq!(outline(&desired(), &seen), "archive", "killed between the marker and the rename");
    let of_genesis = gone.clone().map(|view| View { genesis: Some(round().nonce), ..view });
    let failed = UnitState::Failed { result: "protocol".into() };
    let seen =
        Observed { data: DataDirectory::HasWal, held: executed(), unit: failed.clone(), view: of_genesis, ..fresh() };
    assert_eq!(outline(&desired(), &seen), "removed archive", "removed before it had noted its id");
    let other = gone.map(|view| View { cluster: 0xbad, ..view });
    let seen = Observed { data: DataDirectory::HasWal, held: formed(), unit: failed, view: other, ..fresh() };
    assert!(!outline(&desired(), &seen).contains("archive"), "another cluster says nothing about this data");
}

#[test]
fn a_member_with_an_alarm_is_not_healthy() {
    let Local::Answers(status) = answers(Role::Voter) else { panic!() };
    let local = Local::Answers(LocalStatus { alarms: vec!["alarm:NOSPACE".into()], ..status });
    assert_eq!(outline(&desired(), &Observed { local, ..healthy() }), "REFUSE");
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
