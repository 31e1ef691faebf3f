//! The kernel refuses the addresses: it is asked again, the router resigned, the master left out for a while.

use super::*;

/// Lets the kernel refuse, `delay` after it was asked, until the machine has had enough; returns how long that took and how it ended.
fn refuse(subject: &mut Subject, delay: Duration) -> (Duration, Vec<Action>) {
    let start = subject.now;
    for _ in 0..100 {
        let now = subject.after(delay).now;
        subject.machine.handle_vip_refused(now);
        let did = subject.did();
        if subject.state() != State::Active {
            return (now.since(start), did);
        }
        assert_eq!(did, []);
        assert_eq!(subject.fire(), [InstallVip]);
    }
    panic!("a hundred refusals, and still Active");
}

/// One that has just resigned over its addresses.
fn refused(rules: Rules) -> Subject {
    let mut subject = Subject::active(rules);
    refuse(&mut subject, Duration::ZERO);
    subject
}

#[test]
fn b5_refused_addresses_are_resigned_within_a_tenth_of_a_second() {
    for delay in [Duration::ZERO, ms(1), ms(5), ms(15)] {
        let (took, ended) = refuse(&mut Subject::active(rules(100)), delay);
        assert!(took <= ms(100), "{took:?} when the kernel answers after {delay:?}");
        let resigned = [SendAdvert { priority: 0 }, RemoveVip, moved(State::Active, State::Backup, Reason::VipRefused)];
        assert_eq!(ended, resigned);
    }
}

#[test]
fn b5_addresses_that_are_accepted_in_the_end_are_announced_and_the_refusals_forgotten() {
    let mut subject = Subject::active(rules(100));
    for _ in 0..3 {
        subject.machine.handle_vip_refused(subject.now);
        assert_eq!(subject.fire(), [InstallVip]);
        subject.machine.handle_vip_refused(subject.now);
        assert_eq!(subject.fire(), [InstallVip]);
        subject.machine.handle_vip_accepted(subject.now);
        assert_eq!(subject.did(), [Announce]);
        subject.after(ms(50));
    }
    assert_eq!(subject.state(), State::Active);
}

#[test]
fn b5_a_master_whose_kernel_refused_starts_nothing_for_half_a_minute() {
    let half_a_minute = Duration::from_secs(30);
    type Event = fn(&mut Subject);
    let temptations: [(&str, Event); 4] = [
        ("silence", |_| {}),
        ("a resignation", |subject| drop(subject.hear(RESIGNING, GREATER))),
        ("a master to preempt", |subject| drop(subject.hear(50, GREATER))),
        ("its link again", |subject| {
            subject.machine.handle_obstacle(Obstacle::LinkDown);
            subject.machine.handle_link(Subject::sources(), subject.now);
            subject.did();
        }),
    ];
    for priority in [100, OWNER] {
        for (name, event) in temptations {
            let mut subject = refused(rules(priority));
            let resigned = subject.now;
            event(&mut subject);
            assert_eq!(subject.now.after(subject.waits()).since(resigned), half_a_minute, "{name}, {priority}");
            subject.fire();
            assert_eq!(subject.state(), State::Active, "{name}, {priority}: then it tries again");
        }
    }
}

#[test]
fn a_master_that_is_left_out_heeds_the_active_as_any_backup_does() {
    let mut subject = refused(rules(100));
    for _ in 0..60 {
        subject.after(SECOND.span());
        assert_eq!(subject.hear(200, GREATER), []);
    }
    assert_eq!(subject.state(), State::Backup);
    assert_eq!(subject.waits(), down(100));
}
