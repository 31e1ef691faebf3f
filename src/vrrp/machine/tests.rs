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
fn f7_a_resignation_leaves_only_the_skew() {
    let mut subject = Subject::backup(rules(100));
    subject.hear(200, GREATER);
    subject.after(ms(300));
    assert_eq!(subject.hear(RESIGNING, GREATER), []);
    assert_eq!((subject.waits(), subject.machine.active()), (SECOND.skew(100), None));
    assert_eq!(subject.fire().last(), Some(&moved(State::Backup, State::Active, Reason::Resignation)));
}

#[test]
fn f8_an_advertisement_to_heed_restarts_the_timer_with_its_interval() {
    for (own, preempt, heard) in [(100, Preempt::AtOnce, 100), (100, Preempt::AtOnce, 255), (200, Preempt::Never, 1)] {
        let mut subject = Subject::backup(Rules { preempt, ..rules(own) });
        let long = Interval::try_from(400).unwrap();
        subject.after(ms(700));
        let did = subject.hear_every(heard, SMALLER, long);
        assert_eq!(did, [Action::Remark(Remark::Interval)]);
        assert_eq!(subject.waits(), long.span() * 3 + long.skew(own));
        assert_eq!(subject.machine.active(), Some(SMALLER.parse().unwrap()));
    }
}

#[test]
fn f9_an_advertisement_to_preempt_leaves_the_timer_alone() {
    let mut subject = Subject::backup(rules(200));
    for _ in 0..3 {
        subject.after(SECOND.span());
        assert_eq!(subject.hear(100, GREATER), []);
    }
    assert_eq!(subject.waits(), SECOND.skew(200));
}

#[test]
fn f10_a_backup_never_compares_addresses() {
    let mut subject = Subject::backup(rules(100));
    subject.after(ms(900));
    subject.hear(100, SMALLER);
    assert_eq!(subject.waits(), down(100));
}

#[test]
fn f11_the_advertisement_timer_sends_and_does_not_drift() {
    let mut subject = Subject::active(rules(100));
    let due = subject.machine.advert_due().unwrap();
    // 3 ms late: the next one is due one interval after this one was.
    subject.now = due.after(ms(3));
    subject.machine.handle_timeout(subject.now);
    let did = subject.did();
    assert!(did.contains(&SendAdvert { priority: 100 }), "{did:?}");
    assert_eq!(subject.machine.advert_due(), Some(due.after(SECOND.span())));
}

#[test]
fn f12_an_active_answers_a_resignation_at_once() {
    let mut subject = Subject::active(rules(100));
    subject.after(ms(400));
    assert_eq!(subject.hear(RESIGNING, GREATER), subject.advert(100));
    assert_eq!(subject.advert_in(), SECOND.span());
}

#[test]
fn f13_an_active_yields_to_a_higher_priority_or_a_greater_address() {
    let long = Interval::try_from(300).unwrap();
    for (heard, source, why) in [
        (101, SMALLER, Reason::HigherPriority),
        (100, GREATER, Reason::GreaterAddress),
        (100, "10.10.0.1", Reason::GreaterAddress),
    ] {
        let mut subject = Subject::active(rules(100));
        let did = subject.hear_every(heard, source, long);
        assert_eq!(did, [RemoveVip, moved(State::Active, State::Backup, why)]);
        assert_eq!(subject.waits(), long.span() * 3 + long.skew(100));
        assert_eq!(subject.machine.active(), Some(source.parse().unwrap()));
    }
    // Unsigned, in network order: 10.9.0.200 is greater though its octet is negative as a signed one.
    let mut subject = Subject::active(rules(100));
    assert_eq!(subject.hear(100, "10.9.0.200")[0], RemoveVip);
}

#[test]
fn f14_a_losing_advertisement_is_answered_at_once_and_the_timer_kept() {
    for (heard, source) in [(99, GREATER), (100, SMALLER), (1, SMALLER)] {
        let mut subject = Subject::active(rules(100));
        subject.after(ms(400));
        let due = subject.machine.advert_due();
        assert_eq!(subject.hear(heard, source), subject.advert(100));
        assert_eq!((subject.state(), subject.machine.advert_due()), (State::Active, due));
    }
    let mut v2 = Subject::active(Rules { version: Version::V2, ..rules(100) });
    assert_eq!(v2.hear(99, GREATER), [], "VRRPv2 stays silent (RFC 3768 §6.4.3)");
}

#[test]
fn f15_our_own_address_and_priority_is_a_duplicate_and_not_greater() {
    let mut subject = Subject::active(rules(100));
    assert_eq!(subject.hear(100, OWN), [Action::Remark(Remark::DuplicateSource)]);
    assert_eq!(subject.state(), State::Active);
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
fn f20_the_preempt_delay_counts_once_and_never_delays_a_real_takeover() {
    let delayed = Rules { preempt: Preempt::AfterMs(2500), ..rules(200) };
    let mut subject = Subject::backup(delayed.clone());
    // 0, 1 and 2 s: heeded. 3 s: the delay has passed, so the timer set at 2 s runs out.
    for second in 0..4 {
        subject.hear(100, GREATER);
        let armed = if second < 3 { down(200) } else { down(200) - SECOND.span() };
        assert_eq!(subject.waits(), armed, "{second}");
        subject.after(SECOND.span());
    }
    for cancelling in [200, 255, RESIGNING] {
        let mut subject = Subject::backup(delayed.clone());
        subject.hear(100, GREATER);
        subject.after(ms(2000)).hear(cancelling, GREATER);
        subject.after(ms(100)).hear(100, GREATER);
        subject.after(ms(2400)).hear(100, GREATER);
        assert_eq!(subject.waits(), down(200), "measured anew after {cancelling}");
    }
    let mut dead = Subject::backup(delayed);
    dead.hear(100, GREATER);
    assert_eq!(dead.waits(), down(200), "a dead Active is taken over from as ever");
}

#[test]
fn r11_another_interval_is_adopted_and_remarked_but_not_dropped() {
    let mut subject = Subject::backup(rules(100));
    let short = Interval::try_from(10).unwrap();
    assert_eq!(subject.hear_every(200, GREATER, short), [Action::Remark(Remark::Interval)]);
    assert_eq!(subject.waits(), short.span() * 3 + short.skew(100));
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
fn b2_each_advertisement_extends_the_lease_to_before_any_peer_may_start() {
    for centiseconds in [1, 10, 100, 4095] {
        let interval = Interval::try_from(centiseconds).unwrap();
        let lease = lease(interval);
        assert!(lease < interval.span() * 3, "every peer waits three intervals and its skew");
        assert!(lease > interval.span() * 2, "one lost turn does not cost the address");
    }
    let mut subject = Subject::active(rules(100));
    for _ in 0..20 {
        for pair in subject.fire().windows(2) {
            if matches!(pair[0], SendAdvert { .. }) {
                assert_eq!(pair[1], ExtendLease { until: subject.now.after(ms(2750)) });
            }
        }
    }
}

#[test]
fn b2_the_address_is_renewed_within_its_lifetime() {
    for (centiseconds, lifetime) in [(1, 2), (10, 2), (100, 2), (100, 10), (4000, 121)] {
        let interval = Interval::try_from(centiseconds).unwrap();
        let lifetime = Duration::from_secs(lifetime);
        let mut subject = Subject::active(Rules { interval, lifetime, ..rules(254) });
        let mut renewed = subject.now;
        for _ in 0..2000 {
            if subject.fire().contains(&RenewVip) {
                renewed = subject.now;
            }
            assert!(subject.now.since(renewed) < lifetime, "{centiseconds} cs, {lifetime:?}");
        }
    }
}

#[test]
fn b3_a_wake_up_later_than_the_peers_wait_demotes_before_anything_is_sent() {
    // By a timer, and by a packet of each kind.
    for heard in [None, Some(0), Some(1), Some(100), Some(255)] {
        let mut subject = Subject::active(rules(100));
        subject.after(ms(3001));
        let did = match heard {
            None => {
                subject.machine.handle_timeout(subject.now);
                subject.did()
            }
            Some(priority) => subject.hear(priority, GREATER),
        };
        assert_eq!(did[..2], [RemoveVip, moved(State::Active, State::Backup, Reason::LateWake)], "{heard:?}");
        assert!(!did.iter().any(|action| matches!(action, SendAdvert { .. })), "{heard:?}");
    }
    // Nobody else is there: Active again after one interval and the skew.
    let mut alone = Subject::active(rules(100));
    alone.after(ms(5000));
    alone.machine.handle_timeout(alone.now);
    assert_eq!(alone.waits(), SECOND.span() + SECOND.skew(100));
}

#[test]
fn b3_a_wake_up_that_is_only_late_advertises_and_announces() {
    let mut subject = Subject::active(rules(100));
    subject.fire();
    subject.fire();
    subject.now = subject.machine.advert_due().unwrap().after(ms(1500));
    subject.machine.handle_timeout(subject.now);
    let did = subject.did();
    assert!(did.contains(&SendAdvert { priority: 100 }) && did.contains(&Announce), "{did:?}");
    assert_eq!(subject.advert_in(), SECOND.span());
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
fn b5_an_address_that_vanished_is_put_back_and_announced() {
    let mut subject = Subject::active(rules(100));
    subject.machine.handle_vip_lost(subject.now);
    assert_eq!(subject.did(), [InstallVip, Announce]);
    let mut backup = Subject::backup(rules(100));
    backup.machine.handle_vip_lost(backup.now);
    assert_eq!(backup.did(), []);
}

#[test]
fn b8_the_winner_of_a_healed_partition_announces_within_an_interval() {
    for centiseconds in [1, 10, 100, 1000] {
        let interval = Interval::try_from(centiseconds).unwrap();
        let mut subject = Subject::active(Rules { interval, ..rules(100) });
        // Long after the announcements of its own promotion.
        for _ in 0..400 {
            subject.fire();
        }
        subject.hear_every(50, GREATER, interval);
        let healed = subject.now;
        while !subject.fire().contains(&Announce) {}
        assert!(subject.now.since(healed) <= interval.span(), "{centiseconds}");
    }
}

#[test]
fn b9_a_backup_that_overslept_listens_before_it_takes_over() {
    let mut subject = Subject::backup(rules(100));
    subject.after(down(100) + ms(1001));
    subject.machine.handle_timeout(subject.now);
    assert_eq!((subject.did(), subject.state()), (vec![], State::Backup));
    assert_eq!(subject.waits(), SECOND.span() + SECOND.skew(100));
    assert_eq!(subject.fire().last(), Some(&moved(State::Backup, State::Active, Reason::Silence)));
}

#[test]
fn announcements_repeat_after_100_ms_and_a_second_and_then_every_30_seconds() {
    let mut subject = Subject::backup(Rules { interval: Interval::try_from(10).unwrap(), ..rules(100) });
    let mut announced = Vec::new();
    for _ in 0..1000 {
        if subject.fire().contains(&Announce) {
            announced.push(subject.now);
        }
    }
    let gaps: Vec<Duration> = announced.windows(2).map(|pair| pair[1].since(pair[0])).collect();
    assert_eq!(gaps[..4], [ms(100), ms(1000), ms(30_000), ms(30_000)]);
}

#[test]
fn a_healthy_backup_takes_over_from_an_unhealthy_active_where_preemption_is_off() {
    let cautious = |priority| Rules { preempt: Preempt::Never, healthy_from: 252, ..rules(priority) };
    let mut healthy = Subject::backup(cautious(252));
    let before = healthy.waits();
    healthy.after(ms(1)).hear(238, GREATER);
    assert_eq!(healthy.waits(), before - ms(1), "an unhealthy Active is let run out");
    // All unhealthy: the VIP stays where it is.
    let mut unhealthy = Subject::backup(cautious(254));
    unhealthy.machine.handle_health(Verdict::Unhealthy);
    unhealthy.hear(237, GREATER);
    assert_eq!(unhealthy.waits(), down(238));
    // And a healthy Active with less is left alone.
    let mut patient = Subject::backup(cautious(254));
    patient.after(ms(500)).hear(252, GREATER);
    assert_eq!(patient.waits(), down(254));
}

#[test]
fn health_moves_the_timer_of_a_backup_from_the_same_beginning() {
    let mut subject = Subject::backup(rules(200));
    subject.after(ms(500));
    subject.machine.handle_health(Verdict::Unhealthy);
    assert_eq!(subject.waits(), down(184) - ms(500));
    subject.machine.handle_health(Verdict::Healthy);
    assert_eq!(subject.waits(), down(200) - ms(500));
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
    let events: [Row; 12] = [
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
