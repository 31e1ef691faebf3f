use super::*;
use crate::manifest::EtcdPhase;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr};

fn name(number: usize) -> NodeName {
    format!("m{number}").parse().unwrap()
}

fn desired(me: usize, masters: &[usize]) -> Desired {
    let address = |number: usize| IpAddr::V4(Ipv4Addr::new(10, 0, 0, u8::try_from(number).unwrap()));
    Desired {
        me: name(me),
        address: address(me),
        members: masters.iter().map(|number| (name(*number), address(*number))).collect(),
        phase: EtcdPhase::Genesis,
        cluster: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
        generation: Generation(1),
        digest: Digest::of(b"manifest"),
    }
}

fn attest(desired: &Desired, data: DataDirectory, held: Held) -> Attestation {
    Attestation {
        node: desired.me.clone(),
        cluster: desired.cluster.clone(),
        generation: desired.generation,
        digest: desired.digest,
        data,
        held,
        clock_s: 0,
    }
}

fn empty(me: usize, held: Held) -> Attestation {
    attest(&desired(me, &[1, 2, 3]), DataDirectory::Empty, held)
}

fn round(seed: u8) -> Round {
    let desired = desired(1, &[1, 2, 3]);
    Round { cluster: desired.cluster, members: desired.members, nonce: Nonce::of([seed; 16]) }
}

fn prepared(seed: u8) -> Held {
    Held::Marker(Marker::Prepared { round: round(seed) })
}

fn heard(attestations: impl IntoIterator<Item = Attestation>) -> BTreeMap<NodeName, Heard> {
    attestations.into_iter().map(|it| (it.node.clone(), Heard::Attested(Box::new(it)))).collect()
}

/// What master 1, which leads, does when the other two attest this.
fn lead(own: Held, second: Attestation, third: Attestation) -> Move {
    next(&desired(1, &[1, 2, 3]), &empty(1, own), &heard([second, third]), Nonce::of([9; 16]))
}

#[test]
fn the_leader_draws_prepares_asks_and_commits_in_this_order() {
    let nothing = |me| empty(me, Held::Nothing);
    assert_eq!(lead(Held::Nothing, nothing(2), nothing(3)), Move::Persist(Marker::Prepared { round: round(9) }));
    assert_eq!(lead(prepared(9), nothing(2), nothing(3)), Move::Ask { round: round(9), to: vec![name(2), name(3)] });
    assert_eq!(lead(prepared(9), nothing(2), empty(3, prepared(9))), Move::Ask { round: round(9), to: vec![name(2)] });
    assert_eq!(
        lead(prepared(9), empty(2, prepared(9)), empty(3, prepared(9))),
        Move::Persist(Marker::Committed { round: round(9) })
    );
}

#[test]
fn a_leader_without_a_marker_takes_the_round_its_peers_hold() {
    let expected = Move::Persist(Marker::Prepared { round: round(5) });
    assert_eq!(lead(Held::Nothing, empty(2, prepared(5)), empty(3, Held::Nothing)), expected);
}

#[test]
fn two_rounds_at_once_are_refused() {
    let refused = lead(Held::Nothing, empty(2, prepared(5)), empty(3, prepared(6)));
    assert!(matches!(refused, Move::Refuse { .. }), "{refused:?}");
}

#[test]
fn a_silent_master_is_not_an_empty_one() {
    let mut answers = heard([empty(2, prepared(9))]);
    answers.insert(name(3), Heard::Silent { why: "timed out".into() });
    let waits = next(&desired(1, &[1, 2, 3]), &empty(1, prepared(9)), &answers, Nonce::of([9; 16]));
    assert_eq!(waits, Move::Wait { on: BTreeMap::from([(name(3), "timed out".to_owned())]) });
}

#[test]
fn everything_but_an_empty_master_with_the_same_manifest_is_waited_for() {
    let other = |change: &dyn Fn(&mut Attestation)| {
        let mut attestation = empty(3, Held::Nothing);
        change(&mut attestation);
        attestation
    };
    let committed = Held::Marker(Marker::Committed { round: round(1) });
    let formed = Held::Marker(Marker::Formed { cluster: desired(1, &[1, 2, 3]).cluster, etcd: 1, member: 2 });
    let table: [(&str, Attestation); 9] = [
        ("another time", other(&|it| it.clock_s = 61)),
        ("another generation", other(&|it| it.generation = Generation(2))),
        ("other bytes", other(&|it| it.digest = Digest::of(b"fork"))),
        ("another cluster", other(&|it| it.cluster = "00000000-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap())),
        ("data", other(&|it| it.data = DataDirectory::HasWal)),
        ("unknown storage", other(&|it| it.data = DataDirectory::Unknown { why: "not mounted".into() })),
        ("an unreadable marker", other(&|it| it.held = Held::Unknown { why: "torn".into() })),
        ("a commitment this master never agreed to", other(&|it| it.held = committed.clone())),
        ("a cluster", other(&|it| it.held = formed.clone())),
    ];
    for (what, third) in table {
        let moved = lead(Held::Nothing, empty(2, Held::Nothing), third);
        let Move::Wait { on } = moved else { panic!("{what}: {moved:?}") };
        assert_eq!(on.keys().collect::<Vec<_>>(), [&name(3)], "{what}");
    }
}

#[test]
fn a_prepared_straggler_commits_what_a_peer_committed_even_if_others_are_silent() {
    for peer in [Marker::Committed { round: round(4) }, Marker::Executed { round: round(4), untouched: None }] {
        let mut answers = heard([attest(&desired(1, &[1, 2, 3]), DataDirectory::HasWal, Held::Marker(peer))]);
        answers.insert(name(2), Heard::Silent { why: "down".into() });
        let moved = next(&desired(3, &[1, 2, 3]), &empty(3, prepared(4)), &answers, Nonce::of([9; 16]));
        assert_eq!(moved, Move::Persist(Marker::Committed { round: round(4) }));
    }
}

#[test]
fn a_wiped_master_beside_a_committed_one_never_commits() {
    let answers = heard([empty(1, Held::Marker(Marker::Committed { round: round(4) })), empty(2, prepared(4))]);
    let moved = next(&desired(3, &[1, 2, 3]), &empty(3, Held::Nothing), &answers, Nonce::of([9; 16]));
    assert!(matches!(moved, Move::Wait { .. }), "{moved:?}");
}

#[test]
fn only_the_leader_with_the_same_manifest_and_masters_is_obeyed() {
    let me = desired(2, &[1, 2, 3]);
    let request = Prepare { generation: me.generation, digest: me.digest, round: round(7) };
    let own = |held| attest(&me, DataDirectory::Empty, held);
    let accepted = Answer::Persist(Marker::Prepared { round: round(7) });
    assert_eq!(prepare(&me, &own(Held::Nothing), &name(1), &request), accepted);
    assert_eq!(prepare(&me, &own(prepared(7)), &name(1), &request), Answer::Held);
    let former = Round { members: desired(1, &[1, 2, 4]).members, ..round(3) };
    assert_eq!(prepare(&me, &own(Held::Marker(Marker::Prepared { round: former })), &name(1), &request), accepted);

    let foreign = Round { members: desired(1, &[1, 2]).members, ..round(7) };
    let refused = [
        prepare(&me, &own(Held::Nothing), &name(3), &request),
        prepare(&me, &own(Held::Nothing), &name(1), &Prepare { generation: Generation(2), ..request.clone() }),
        prepare(&me, &own(Held::Nothing), &name(1), &Prepare { digest: Digest::of(b""), ..request.clone() }),
        prepare(&me, &own(Held::Nothing), &name(1), &Prepare { round: foreign, ..request.clone() }),
        prepare(&me, &own(prepared(8)), &name(1), &request),
        prepare(&me, &own(Held::Marker(Marker::Committed { round: round(7) })), &name(1), &request),
        prepare(&me, &own(Held::Unknown { why: "torn".into() }), &name(1), &request),
        prepare(&me, &attest(&me, DataDirectory::HasWal, Held::Nothing), &name(1), &request),
    ];
    for (row, answer) in refused.iter().enumerate() {
        assert!(matches!(answer, Answer::Refuse(_)), "row {row}: {answer:?}");
    }
}

/// What may happen to one of the masters.
#[derive(Debug, Clone)]
enum Event {
    /// It asks those of the others that the bits name; the rest is silent.
    Poll { me: usize, reach: u8 },
    /// It acts on its last poll, however old; a request to prepare reaches only those that the bits name.
    Act { me: usize, reach: u8 },
    /// It starts etcd `new` if it may; the bit says whether the power fails before the first log is written.
    Start { me: usize, cut: u8 },
    /// It is killed: what it heard is gone, what it noted is not.
    Crash { me: usize },
    /// It is reinstalled: everything is gone.
    Wipe { me: usize },
}

/// Masters with their disks. Numbers are 0-based here.
struct World {
    held: Vec<Held>,
    data: Vec<DataDirectory>,
    polled: Vec<Option<BTreeMap<NodeName, Heard>>>,
    /// Rounds that each master ever prepared.
    ever_prepared: Vec<Vec<Nonce>>,
    drawn: u8,
    masters: Vec<usize>,
}

impl World {
    fn new(count: usize) -> Self {
        Self {
            held: vec![Held::Nothing; count],
            data: vec![DataDirectory::Empty; count],
            polled: vec![None; count],
            ever_prepared: vec![Vec::new(); count],
            drawn: 0,
            masters: (1..=count).collect(),
        }
    }

    fn desired(&self, me: usize) -> Desired {
        desired(me + 1, &self.masters)
    }

    fn attest(&self, me: usize) -> Attestation {
        attest(&self.desired(me), self.data[me].clone(), self.held[me].clone())
    }

    fn persist(&mut self, me: usize, marker: Marker) {
        match &marker {
            Marker::Prepared { round } => self.ever_prepared[me].push(round.nonce),
            Marker::Committed { round } => {
                assert_eq!(
                    self.held[me],
                    Held::Marker(Marker::Prepared { round: round.clone() }),
                    "only what was agreed to since the last wipe is committed"
                );
                let unanimous = self.ever_prepared.iter().all(|rounds| rounds.contains(&round.nonce));
                assert!(unanimous, "a commitment without unanimity");
            }
            other => panic!("genesis never notes {other}"),
        }
        self.held[me] = Held::Marker(marker);
    }

    fn happen(&mut self, event: &Event) {
        let count = self.held.len();
        let reaches = |reach: u8, other: usize| reach & (1 << other) != 0;
        match *event {
            Event::Poll { me, reach } => {
                let answer = |other: usize| match reaches(reach, other) {
                    true => Heard::Attested(Box::new(self.attest(other))),
                    false => Heard::Silent { why: "lost".into() },
                };
                let polled = (0..count).filter(|other| *other != me).map(|other| (name(other + 1), answer(other)));
                self.polled[me] = Some(polled.collect());
            }
            Event::Act { me, reach } => {
                let Some(polled) = self.polled[me].take() else { return };
                self.drawn += 1;
                match next(&self.desired(me), &self.attest(me), &polled, Nonce::of([self.drawn; 16])) {
                    Move::Persist(marker) => self.persist(me, marker),
                    Move::Ask { round, to } => {
                        let own = self.desired(me);
                        let request = Prepare { generation: own.generation, digest: own.digest, round };
                        for other in (0..count).filter(|other| to.contains(&name(other + 1)) && reaches(reach, *other))
                        {
                            if let Answer::Persist(marker) =
                                prepare(&self.desired(other), &self.attest(other), &name(me + 1), &request)
                            {
                                self.persist(other, marker);
                            }
                        }
                    }
                    Move::Wait { .. } | Move::Done | Move::Refuse { .. } => {}
                }
            }
            Event::Start { me, cut } => {
                if let Held::Marker(Marker::Committed { round }) = self.held[me].clone() {
                    self.held[me] = Held::Marker(Marker::Executed { round, untouched: None });
                    if cut & 1 == 0 {
                        self.data[me] = DataDirectory::HasWal;
                    }
                    self.polled[me] = None;
                }
            }
            Event::Crash { me } => self.polled[me] = None,
            Event::Wipe { me } => {
                self.polled[me] = None;
                self.held[me] = Held::Nothing;
                self.data[me] = DataDirectory::Empty;
            }
        }
        let mut committed: Vec<_> = self.held.iter().filter_map(committed_round).map(|round| round.nonce).collect();
        committed.sort();
        committed.dedup();
        assert!(committed.len() <= 1, "two tokens: {committed:?}");
    }

    /// Everybody polls and acts in turn, with nothing lost.
    fn calm(&mut self, turns: usize) {
        for _ in 0..turns {
            for me in 0..self.held.len() {
                self.happen(&Event::Poll { me, reach: u8::MAX });
                self.happen(&Event::Act { me, reach: u8::MAX });
            }
        }
    }
}

fn events(count: usize, wipes: bool) -> impl Strategy<Value = Vec<Event>> {
    let me = 0..count;
    let event = (me, any::<u8>(), 0..if wipes { 20 } else { 19 }).prop_map(|(me, reach, kind)| match kind {
        // Mostly whole polls, so that runs get far enough to be dangerous.
        0..=5 => Event::Poll { me, reach: u8::MAX },
        6..=7 => Event::Poll { me, reach },
        8..=13 => Event::Act { me, reach: u8::MAX },
        14..=15 => Event::Act { me, reach },
        16..=17 => Event::Start { me, cut: reach },
        18 => Event::Crash { me },
        _ => Event::Wipe { me },
    });
    proptest::collection::vec(event, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn no_loss_crash_or_wipe_brings_two_tokens_to_life(events in events(3, true)) {
        let mut world = World::new(3);
        events.iter().for_each(|event| world.happen(event));
        world.calm(6);
    }

    #[test]
    fn without_a_wipe_all_masters_end_committed_to_one_round(events in events(5, false)) {
        let mut world = World::new(5);
        events.iter().for_each(|event| world.happen(event));
        world.calm(6);
        let rounds: Vec<_> = world.held.iter().filter_map(committed_round).map(|round| round.nonce).collect();
        prop_assert_eq!(rounds.len(), 5);
        prop_assert!(rounds.windows(2).all(|pair| pair[0] == pair[1]));
    }
}

#[test]
fn the_simulation_reaches_commitments_and_wipes_after_them() {
    let mut world = World::new(3);
    world.calm(3);
    assert_eq!(world.held.iter().filter_map(committed_round).count(), 3);
    world.happen(&Event::Wipe { me: 2 });
    world.calm(3);
    assert_eq!(world.held[2], Held::Nothing, "a wiped master does not form again beside committed ones");
}
