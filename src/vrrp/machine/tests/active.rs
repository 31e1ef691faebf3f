//! An Active: what it sends when, and to whom it yields.

use super::*;

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
