mod active;
mod backup;
mod refusal;

use super::*;
use crate::vrrp::packet::{Family, Remark, Version};
use Action::{Announce, ExtendLease, InstallVip, RemoveVip, RenewVip, SendAdvert};

const SECOND: Interval = Interval::SECOND;
const OWN: &str = "10.9.0.11";
/// The greater and the smaller neighbour of our own address.
const GREATER: &str = "10.9.0.12";
const SMALLER: &str = "10.9.0.10";

fn rules(priority: u8) -> Rules {
    Rules {
        version: Version::V3,
        priority,
        unhealthy_priority: priority.saturating_sub(16).max(1),
        healthy_from: 1,
        interval: SECOND,
        preempt: Preempt::AtOnce,
        lead: Family::V4,
        lifetime: Duration::from_secs(10),
    }
}

/// A machine, the time, and what it did since the last look.
struct Subject {
    machine: Machine,
    now: Time,
}

impl Subject {
    fn new(rules: Rules) -> Self {
        Self { machine: Machine::new(rules), now: Time::from_nanos(1_000_000_000_000) }
    }

    fn sources() -> Sources {
        Sources { v4: Some(OWN.parse().unwrap()), v6: Some("fe80::11".parse().unwrap()) }
    }

    fn backup(rules: Rules) -> Self {
        let mut subject = Self::new(rules);
        subject.machine.handle_link(Self::sources(), subject.now);
        subject.did();
        subject
    }

    fn active(rules: Rules) -> Self {
        let mut subject = Self::backup(rules);
        while subject.machine.state() != State::Active {
            subject.fire();
        }
        subject.did();
        subject
    }

    fn in_state(state: State, rules: Rules) -> Self {
        match state {
            State::Initialize => Self::new(rules),
            State::Backup => Self::backup(rules),
            State::Active => Self::active(rules),
        }
    }

    /// Lets the time run to the next timeout.
    fn fire(&mut self) -> Vec<Action> {
        self.now = self.machine.next_timeout().unwrap();
        self.machine.handle_timeout(self.now);
        self.did()
    }

    fn after(&mut self, span: Duration) -> &mut Self {
        self.now = self.now.after(span);
        self
    }

    fn hear(&mut self, priority: u8, source: &str) -> Vec<Action> {
        self.hear_every(priority, source, SECOND)
    }

    fn hear_every(&mut self, priority: u8, source: &str, interval: Interval) -> Vec<Action> {
        self.machine.handle_packet(Heard { source: source.parse().unwrap(), priority, interval }, self.now);
        self.did()
    }

    fn did(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.machine.poll_action()).collect()
    }

    /// How long until the next timeout.
    fn waits(&self) -> Duration {
        self.machine.next_timeout().unwrap().since(self.now)
    }

    fn advert_in(&self) -> Duration {
        self.machine.advert_due().unwrap().since(self.now)
    }

    fn state(&self) -> State {
        self.machine.state()
    }

    fn advert(&self, priority: u8) -> [Action; 2] {
        [SendAdvert { priority }, ExtendLease { until: self.now.after(lease(SECOND)) }]
    }
}

fn moved(from: State, to: State, why: Reason) -> Action {
    Action::Moved { from, to, why }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Three intervals and the skew of `priority`.
fn down(priority: u8) -> Duration {
    SECOND.span() * 3 + SECOND.skew(priority)
}

#[test]
fn f1_an_owner_starts_as_active() {
    let mut subject = Subject::new(rules(OWNER));
    subject.machine.handle_link(Subject::sources(), subject.now);
    let [advert, lease] = subject.advert(OWNER);
    let expected = [advert, lease, InstallVip, Announce, moved(State::Initialize, State::Active, Reason::Owner)];
    assert_eq!(subject.did(), expected);
    assert_eq!(subject.advert_in(), SECOND.span());
}

#[test]
fn f2_everybody_else_starts_as_backup_and_waits_for_the_down_interval() {
    for priority in [1, 100, 254] {
        let mut subject = Subject::new(rules(priority));
        subject.machine.handle_link(Subject::sources(), subject.now);
        assert_eq!(subject.did(), [moved(State::Initialize, State::Backup, Reason::Started)]);
        assert_eq!(subject.waits(), down(priority));
    }
}

#[test]
fn f3_version_2_counts_its_skew_in_seconds() {
    let slow = Interval::try_from(500).unwrap();
    let v2 = Subject::backup(Rules { version: Version::V2, interval: slow, ..rules(100) });
    assert_eq!(v2.waits(), Duration::from_secs(15) + Duration::from_nanos(609_375_000));
    let v3 = Subject::backup(Rules { interval: slow, ..rules(100) });
    assert_eq!(v3.waits(), Duration::from_secs(15) + Duration::from_nanos(3_046_875_000));
}

#[test]
fn f4_timers_are_exact_to_the_nanosecond() {
    let shortest = Interval::try_from(1).unwrap();
    assert_eq!(Subject::backup(Rules { interval: shortest, ..rules(254) }).waits(), Duration::from_nanos(30_078_125));
    assert_eq!(Subject::backup(rules(1)).waits(), Duration::from_nanos(3_996_093_750));
}

#[test]
fn f5_a_backup_holds_no_address_and_announces_nothing() {
    let mut subject = Subject::backup(rules(100));
    for priority in [0, 99, 100, 101] {
        let did = subject.hear(priority, GREATER);
        assert!(did.iter().all(|action| matches!(action, Action::Remark(_))), "{priority}: {did:?}");
    }
}

#[test]
fn f6_the_down_timer_makes_it_active() {
    let mut subject = Subject::backup(rules(100));
    let did = subject.fire();
    let [advert, lease] = subject.advert(100);
    assert_eq!(did, [advert, lease, InstallVip, Announce, moved(State::Backup, State::Active, Reason::Silence)]);
    assert_eq!(subject.advert_in(), SECOND.span());
    assert_eq!(subject.machine.active(), Some(OWN.parse().unwrap()));
}

#[test]
fn f16_a_stopped_active_resigns_and_a_stopped_backup_says_nothing() {
    let mut active = Subject::active(rules(100));
    active.machine.stop();
    let gone = moved(State::Active, State::Initialize, Reason::Stopped);
    assert_eq!(active.did(), [SendAdvert { priority: RESIGNING }, RemoveVip, gone]);
    let mut backup = Subject::backup(rules(100));
    backup.machine.stop();
    assert_eq!(backup.did(), [moved(State::Backup, State::Initialize, Reason::Stopped)]);
    let mut never = Subject::new(rules(100));
    never.machine.stop();
    assert_eq!(never.did(), []);
}

#[test]
fn f17_an_active_yields_whatever_its_preemption_and_an_owner_always_preempts() {
    let mut active = Subject::active(Rules { preempt: Preempt::Never, ..rules(100) });
    active.hear(101, SMALLER);
    assert_eq!(active.state(), State::Backup);
    let mut owner = Subject::active(Rules { preempt: Preempt::Never, ..rules(OWNER) });
    owner.hear(OWNER, GREATER);
    assert_eq!(owner.state(), State::Backup);
    let before = owner.waits();
    owner.hear(254, SMALLER);
    assert_eq!(owner.waits(), before, "the timer runs on");
}

#[test]
fn f18_a_lost_link_ends_in_initialize_without_the_address() {
    for obstacle in [Obstacle::LinkDown, Obstacle::LinkMissing, Obstacle::NoIpv4Source, Obstacle::NoIpv6Source] {
        let mut active = Subject::active(rules(100));
        active.machine.handle_obstacle(obstacle);
        let gone = moved(State::Active, State::Initialize, Reason::Obstacle(obstacle));
        assert_eq!(active.did(), [RemoveVip, gone]);
        assert_eq!(active.machine.next_timeout(), None);
        active.machine.handle_link(Subject::sources(), active.now);
        assert_eq!((active.state(), active.waits()), (State::Backup, down(100)));
    }
}

#[test]
fn f19_two_that_promote_together_settle_with_one_advertisement() {
    let mut smaller = Subject::active(rules(100));
    let mut greater = Subject::active(rules(100));
    greater.machine.sources.v4 = Some(GREATER.parse().unwrap());
    smaller.hear(100, GREATER);
    greater.hear(100, OWN);
    assert_eq!((smaller.state(), greater.state()), (State::Backup, State::Active));
}

#[test]
fn r15_a_rival_owner_is_heeded_and_remarked() {
    let mut subject = Subject::active(rules(OWNER));
    assert_eq!(subject.hear(OWNER, GREATER)[..2], [Action::Remark(Remark::RivalOwner), RemoveVip]);
}

#[test]
fn r20_nothing_heard_in_initialize_has_any_effect() {
    let fresh = Machine::new(rules(100));
    for priority in [0, 1, 100, 255] {
        let mut subject = Subject::new(rules(100));
        assert_eq!(subject.hear(priority, GREATER), []);
        subject.machine.handle_timeout(subject.now);
        assert_eq!(subject.machine, fresh);
    }
}

#[test]
fn t10_zero_is_sent_only_to_resign() {
    for priority in [1, 254, 255] {
        let mut subject = Subject::active(rules(priority));
        let mut sent = subject.fire();
        sent.extend(subject.hear(RESIGNING, GREATER));
        assert!(!sent.contains(&SendAdvert { priority: RESIGNING }), "{sent:?}");
        assert!(sent.contains(&SendAdvert { priority }), "{sent:?}");
    }
}

#[test]
fn t11_a_change_is_in_the_very_next_advertisement() {
    let mut subject = Subject::active(rules(200));
    subject.machine.handle_health(Verdict::Unhealthy);
    let sent = loop {
        let did = subject.fire();
        if let Some(sent) = did.iter().find(|action| matches!(action, SendAdvert { .. })) {
            break *sent;
        }
    };
    assert_eq!(sent, SendAdvert { priority: 184 });
    let mut subject = Subject::active(rules(200));
    subject.machine.reconfigure(rules(150), AddressesChanged::No, subject.now);
    assert_eq!(subject.did(), subject.advert(150));
    subject.machine.reconfigure(rules(150), AddressesChanged::Yes, subject.now);
    let [advert, lease] = subject.advert(150);
    assert_eq!(subject.did(), [InstallVip, Announce, advert, lease]);
}

#[test]
fn d3_nothing_is_announced_before_the_link_and_its_source_are_there() {
    let mut subject = Subject::new(rules(OWNER));
    subject.machine.handle_obstacle(Obstacle::NoIpv4Source);
    subject.machine.handle_vip_lost(subject.now);
    subject.machine.reconfigure(rules(OWNER), AddressesChanged::Yes, subject.now);
    assert_eq!(subject.did(), []);
}

#[test]
fn b4_the_same_configuration_again_changes_nothing() {
    for state in [State::Initialize, State::Backup, State::Active] {
        let mut subject = Subject::in_state(state, rules(100));
        let before = subject.machine.clone();
        for _ in 0..60 {
            subject.after(ms(7));
            subject.machine.reconfigure(rules(100), AddressesChanged::No, subject.now);
        }
        assert_eq!(subject.did(), []);
        assert_eq!(subject.machine, before);
    }
}

#[test]
fn a_dual_stack_router_counts_either_family_and_breaks_ties_in_one() {
    let mut backup = Subject::backup(rules(100));
    backup.after(ms(900)).hear(200, "fe80::12");
    assert_eq!(backup.waits(), down(100), "either family proves that the Active is alive");
    let mut active = Subject::active(rules(100));
    assert_eq!(active.hear(100, "fe80::12"), [], "the other family decides nothing between equals");
    active.hear(101, "fe80::10");
    assert_eq!(active.state(), State::Backup, "a higher priority counts in any");
}

/// Every state and every event: where it leads, and the kinds of action in order.
#[test]
fn every_event_in_every_state_leads_where_the_rfc_says() {
    use State::{Active as A, Backup as B, Initialize as I};
    type Event = fn(&mut Subject);
    type Row = (&'static str, Event, [(State, &'static str); 3]);
    let events: [Row; 14] = [
        ("link usable", |s| s.machine.handle_link(Subject::sources(), s.now), [(B, "M"), (B, ""), (A, "")]),
        ("obstacle", |s| s.machine.handle_obstacle(Obstacle::LinkDown), [(I, ""), (I, "M"), (I, "RM")]),
        ("stop", |s| s.machine.stop(), [(I, ""), (I, "M"), (I, "SRM")]),
        ("heard 0", |s| drop_it(s, 0), [(I, ""), (B, ""), (A, "SE")]),
        ("heard lower", |s| drop_it(s, 99), [(I, ""), (B, ""), (A, "SE")]),
        ("heard equal", |s| drop_it(s, 100), [(I, ""), (B, ""), (B, "RM")]),
        ("heard higher", |s| drop_it(s, 101), [(I, ""), (B, ""), (B, "RM")]),
        ("heard owner", |s| drop_it(s, 255), [(I, ""), (B, ""), (B, "RM")]),
        ("early timer", |s| s.machine.handle_timeout(s.now), [(I, ""), (B, ""), (A, "")]),
        ("vip lost", |s| s.machine.handle_vip_lost(s.now), [(I, ""), (B, ""), (A, "VG")]),
        ("vip refused", |s| s.machine.handle_vip_refused(s.now), [(I, ""), (B, ""), (A, "")]),
        ("vip accepted", |s| s.machine.handle_vip_accepted(s.now), [(I, ""), (B, ""), (A, "")]),
        ("unhealthy", |s| s.machine.handle_health(Verdict::Unhealthy), [(I, ""), (B, ""), (A, "")]),
        (
            "other addresses",
            |s| s.machine.reconfigure(rules(100), AddressesChanged::Yes, s.now),
            [(I, ""), (B, ""), (A, "VGSE")],
        ),
    ];
    fn drop_it(subject: &mut Subject, priority: u8) {
        let heard = Heard { source: GREATER.parse().unwrap(), priority, interval: SECOND };
        subject.machine.handle_packet(heard, subject.now);
    }
    for (name, event, outcomes) in events {
        for (state, (to, actions)) in [I, B, A].into_iter().zip(outcomes) {
            let mut subject = Subject::in_state(state, rules(100));
            event(&mut subject);
            let letters: String = subject.did().iter().map(letter).collect();
            assert_eq!((subject.state(), letters.as_str()), (to, actions), "{name} in {state:?}");
        }
    }
}

fn letter(action: &Action) -> char {
    match action {
        SendAdvert { .. } => 'S',
        ExtendLease { .. } => 'E',
        InstallVip => 'V',
        RenewVip => 'N',
        RemoveVip => 'R',
        Announce => 'G',
        Action::Moved { .. } => 'M',
        Action::Remark(_) => 'o',
    }
}
