//! Three machines on a simulated wire, with faults from a generator: what must hold whatever happens.
//!
//! Deterministic: a failing case is printed by proptest as the list of its faults. Frozen nodes neither receive nor fire until
//! they thaw, and then find everything that came in between waiting for them, as with real sockets.

use super::*;
use crate::vrrp::packet::{Family, Version};
use proptest::prelude::*;
use std::net::Ipv4Addr;

const NODES: usize = 3;
/// Shorter than the difference between two skews at one second, 3.9 ms: a real network's delay.
const DELAY: Duration = Duration::from_micros(700);
/// Once the faults are over, a new Active is there after the longest Active_Down_Interval and one interval of listening, or after
/// the hold-off of masters whose kernel refused.
const CALM: Duration = Duration::from_secs(45);

#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The daemon stops doing anything, and its state stays.
    Freeze(usize),
    Thaw(usize),
    /// The daemon is gone, and its unit resigns for it if it held the address.
    Crash(usize),
    Start(usize),
    /// An ordered stop.
    Stop(usize),
    Unhealthy(usize),
    Healthy(usize),
    /// The kernel refuses the address to this node.
    Refuse(usize),
    Accept(usize),
    /// Nothing that this node sends arrives any more.
    Mute(usize),
    Unmute(usize),
}

struct Node {
    machine: Machine,
    frozen: bool,
    mute: bool,
    refused: bool,
    /// Until when the kernel answers for the address.
    lease: Time,
    /// What arrived and is not processed yet.
    queue: VecDeque<Heard>,
}

struct Wire {
    now: Time,
    nodes: Vec<Node>,
    /// In flight: when it arrives, for whom, what.
    flying: Vec<(Time, usize, Heard)>,
    overlap: Option<String>,
}

impl Wire {
    fn new(rules: impl Fn(usize) -> Rules) -> Self {
        let nodes = (0..NODES).map(|at| Node {
            machine: Machine::new(rules(at)),
            frozen: false,
            mute: false,
            refused: false,
            lease: Time::default(),
            queue: VecDeque::new(),
        });
        let mut wire =
            Self { now: Time::from_nanos(1_000_000_000), nodes: nodes.collect(), flying: Vec::new(), overlap: None };
        for at in 0..NODES {
            wire.nodes[at].machine.handle_link(sources(at), wire.now);
            wire.act(at);
        }
        wire
    }

    fn act(&mut self, at: usize) {
        while let Some(action) = self.nodes[at].machine.poll_action() {
            match action {
                Action::SendAdvert { priority } if !self.nodes[at].mute => {
                    let heard = Heard { source: sources(at).v4.unwrap().into(), priority, interval: Interval::SECOND };
                    let arrival = self.now.after(DELAY);
                    self.flying.extend((0..NODES).filter(|to| *to != at).map(|to| (arrival, to, heard)));
                }
                Action::ExtendLease { until } => {
                    for other in (0..NODES).filter(|other| *other != at) {
                        if self.nodes[other].lease > self.now {
                            let text = format!("{at} and {other} both answer at {:?}", self.now);
                            self.overlap.get_or_insert(text);
                        }
                    }
                    self.nodes[at].lease = until;
                }
                Action::InstallVip | Action::RenewVip if self.nodes[at].refused => {
                    self.nodes[at].machine.handle_vip_refused(self.now);
                }
                Action::InstallVip => self.nodes[at].machine.handle_vip_accepted(self.now),
                Action::RemoveVip => self.nodes[at].lease = self.now,
                _ => {}
            }
        }
    }

    /// What waits is heard before any timer fires.
    fn turn(&mut self, at: usize) {
        while let Some(heard) = self.nodes[at].queue.pop_front() {
            self.nodes[at].machine.handle_packet(heard, self.now);
            self.act(at);
        }
        if self.nodes[at].machine.next_timeout().is_some_and(|deadline| deadline <= self.now) {
            self.nodes[at].machine.handle_timeout(self.now);
            self.act(at);
        }
    }

    fn run_until(&mut self, end: Time) {
        loop {
            let timers = self.nodes.iter().filter(|node| !node.frozen).filter_map(|node| node.machine.next_timeout());
            let next = timers.chain(self.flying.iter().map(|(arrival, ..)| *arrival)).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            let now = self.now;
            for (_, to, heard) in self.flying.extract_if(.., |(arrival, ..)| *arrival <= now) {
                self.nodes[to].queue.push_back(heard);
            }
            for at in 0..NODES {
                if !self.nodes[at].frozen {
                    self.turn(at);
                }
            }
        }
        self.now = end;
    }

    fn suffer(&mut self, fault: Fault) {
        match fault {
            Fault::Freeze(at) => self.nodes[at].frozen = true,
            Fault::Thaw(at) => {
                self.nodes[at].frozen = false;
                self.turn(at);
            }
            // The address is taken off and a resignation sent: what an ordered stop does, without the daemon.
            Fault::Crash(at) | Fault::Stop(at) => {
                self.nodes[at].machine.stop();
                self.nodes[at].frozen = false;
                self.nodes[at].queue.clear();
                self.act(at);
            }
            Fault::Start(at) => {
                self.nodes[at].machine.handle_link(sources(at), self.now);
                self.act(at);
            }
            Fault::Unhealthy(at) => self.nodes[at].machine.handle_health(Verdict::Unhealthy),
            Fault::Healthy(at) => self.nodes[at].machine.handle_health(Verdict::Healthy),
            Fault::Refuse(at) => self.nodes[at].refused = true,
            Fault::Accept(at) => self.nodes[at].refused = false,
            Fault::Mute(at) => self.nodes[at].mute = true,
            Fault::Unmute(at) => self.nodes[at].mute = false,
        }
    }

    fn actives(&self) -> Vec<usize> {
        (0..NODES).filter(|at| self.nodes[*at].machine.state() == State::Active).collect()
    }
}

fn sources(at: usize) -> Sources {
    let octet = u8::try_from(11 + at).unwrap();
    Sources { v4: Some(Ipv4Addr::new(10, 9, 0, octet)), v6: None }
}

fn rules(at: usize, preempt: Preempt) -> Rules {
    let priority = 254 - u8::try_from(at).unwrap();
    Rules {
        version: Version::V3,
        priority,
        unhealthy_priority: priority - 16,
        healthy_from: 252,
        interval: Interval::SECOND,
        preempt,
        lead: Family::V4,
        lifetime: Duration::from_secs(10),
    }
}

/// Faults of these kinds, each with the milliseconds until it strikes.
fn faults(kinds: &'static [fn(usize) -> Fault]) -> impl Strategy<Value = Vec<(u64, Fault)>> {
    let fault = (prop::sample::select(kinds), 0..NODES).prop_map(|(kind, at)| kind(at));
    prop::collection::vec((0_u64..4000, fault), 1..25)
}

const STANDSTILLS: &[fn(usize) -> Fault] =
    &[Fault::Freeze, Fault::Thaw, Fault::Crash, Fault::Stop, Fault::Start, Fault::Refuse, Fault::Accept];
const EVERYTHING: &[fn(usize) -> Fault] = &[
    Fault::Freeze,
    Fault::Thaw,
    Fault::Crash,
    Fault::Stop,
    Fault::Start,
    Fault::Unhealthy,
    Fault::Healthy,
    Fault::Refuse,
    Fault::Accept,
    Fault::Mute,
    Fault::Unmute,
];

fn strike(wire: &mut Wire, faults: &[(u64, Fault)]) {
    for (milliseconds, fault) in faults {
        let at = wire.now.after(Duration::from_millis(*milliseconds));
        wire.run_until(at);
        wire.suffer(*fault);
    }
}

/// Found by the property below: the former Active, frozen, dies just when its successor has started and freezes as well.
#[test]
fn f7_a_resignation_for_a_former_active_starts_nobody_over_its_successor() {
    let mut wire = Wire::new(|at| rules(at, Preempt::Never));
    strike(
        &mut wire,
        &[
            (899, Fault::Freeze(2)),
            (2109, Fault::Freeze(0)),
            (0, Fault::Thaw(2)),
            (3013, Fault::Freeze(1)),
            (0, Fault::Crash(0)),
        ],
    );
    wire.run_until(wire.now.after(Duration::from_secs(2)));
    assert_eq!(wire.overlap, None);
}

proptest! {
    /// However daemons freeze, thaw, crash, stop and start on a wire that delivers: no two kernels answer at one time.
    #[test]
    fn two_never_answer_while_the_wire_delivers(faults in faults(STANDSTILLS)) {
        let mut wire = Wire::new(|at| rules(at, Preempt::Never));
        strike(&mut wire, &faults);
        prop_assert_eq!(wire.overlap, None);
    }

    /// Whatever happened: once it is over, one is Active, everybody knows it, and it stays.
    #[test]
    fn after_any_faults_exactly_one_is_active_and_stays(faults in faults(EVERYTHING), preempting in any::<bool>()) {
        let preempt = if preempting { Preempt::AtOnce } else { Preempt::Never };
        let mut wire = Wire::new(|at| rules(at, preempt));
        strike(&mut wire, &faults);
        for at in 0..NODES {
            for cure in [Fault::Unmute(at), Fault::Accept(at), Fault::Thaw(at), Fault::Start(at)] {
                wire.suffer(cure);
            }
        }
        wire.run_until(wire.now.after(CALM));
        let actives = wire.actives();
        prop_assert_eq!(actives.len(), 1);
        let expected: Option<IpAddr> = sources(actives[0]).v4.map(IpAddr::from);
        prop_assert!(wire.nodes.iter().all(|node| node.machine.active() == expected));
        wire.run_until(wire.now.after(CALM));
        prop_assert_eq!(wire.actives(), actives);
    }
}

#[test]
fn the_simulation_can_see_two_holders() {
    // Deaf to each other, both answer: if this were not seen, the property above would prove nothing.
    let mut wire = Wire::new(|at| rules(at, Preempt::Never));
    strike(&mut wire, &[(0, Fault::Mute(0)), (0, Fault::Mute(1)), (0, Fault::Mute(2))]);
    wire.run_until(wire.now.after(CALM));
    assert_eq!(wire.actives().len(), NODES);
    assert!(wire.overlap.is_some());
}
