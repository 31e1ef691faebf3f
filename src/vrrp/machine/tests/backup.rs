//! A Backup: whom it heeds, and when it takes over.

use super::*;

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
fn b9_a_backup_that_overslept_listens_before_it_takes_over() {
    let mut subject = Subject::backup(rules(100));
    subject.after(down(100) + ms(1001));
    subject.machine.handle_timeout(subject.now);
    assert_eq!((subject.did(), subject.state()), (vec![], State::Backup));
    assert_eq!(subject.waits(), SECOND.span() + SECOND.skew(100));
    assert_eq!(subject.fire().last(), Some(&moved(State::Backup, State::Active, Reason::Silence)));
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
