//! Screen, JSON and metrics of every case.

use super::cases::{all, named, now};
use quorate::status::Status;
use quorate::status::changes::changes;
use quorate::status::findings::{Account, Verdict, findings, verdict};
use quorate::status::human::{self, Paint};
use quorate::status::metrics;

#[test]
fn each_case_reads_as_its_screen() {
    for case in all() {
        case.expect("screen.txt", &human::render(&case.status, now(), Paint::Plain));
    }
}

#[test]
fn colours_change_no_word_of_the_screen() {
    for case in all() {
        let mut coloured = human::render(&case.status, now(), Paint::Colour);
        while let Some(start) = coloured.find('\x1b') {
            let end = start + coloured[start..].find('m').unwrap();
            coloured.replace_range(start..=end, "");
        }
        assert_eq!(coloured, human::render(&case.status, now(), Paint::Plain), "{}", case.name);
    }
}

#[test]
fn each_case_prints_as_its_account() {
    for case in all() {
        let text = format!("{:#}\n", serde_json::json!(Account::new(&case.status, now())));
        case.expect("account.json", &text);
        assert_eq!(
            serde_json::from_str::<Status>(&text).unwrap(),
            case.status,
            "{}: the account reads back",
            case.name
        );
    }
}

#[test]
fn each_case_is_exported_as_its_metrics() {
    for case in all() {
        case.expect("metrics.prom", &metrics::render(&case.status));
    }
}

#[test]
fn each_case_has_its_verdict() {
    let table = [
        ("active-master-dead", Verdict::Degraded),
        ("certificate-expired", Verdict::Down),
        ("converged", Verdict::Fine),
        ("disk-full", Verdict::Failed),
        ("failed-step", Verdict::Failed),
        ("genesis-one-silent", Verdict::Converging),
        ("learner-catching-up", Verdict::Converging),
        ("no-manifest", Verdict::Waiting),
        ("probe-failing", Verdict::Degraded),
        ("quorum-lost", Verdict::Down),
        ("refused-drop", Verdict::Refused),
        ("stale", Verdict::Unknown),
        ("unformed-waiting", Verdict::Waiting),
        ("wrong-interface", Verdict::Refused),
    ];
    let all = all();
    assert_eq!(all.iter().map(|case| case.name.as_str()).collect::<Vec<_>>(), table.map(|(name, _)| name));
    for (case, (_, expected)) in all.iter().zip(table) {
        assert_eq!(verdict(&case.status, now()), expected, "{}", case.name);
    }
}

#[test]
fn every_finding_says_what_to_do_and_the_worst_stands_first() {
    for case in all() {
        let found = findings(&case.status, now());
        assert!(found.iter().all(|finding| !finding.what.is_empty() && !finding.remedy.is_empty()), "{}", case.name);
        assert!(found.is_sorted_by(|one, other| one.verdict >= other.verdict), "{}", case.name);
    }
}

#[test]
fn a_full_file_system_is_named_before_what_fails_because_of_it() {
    let found = findings(&named("disk-full").status, now());
    assert_eq!(found[0].what, "the file system of '/var/lib/etcd' is full");
    assert!(found.iter().skip(1).any(|finding| finding.verdict == Verdict::Failed), "nothing else failed");
}

#[test]
fn an_expired_certificate_is_named_before_the_quorum_it_costs() {
    let found = findings(&named("certificate-expired").status, now());
    let place = |word: &str| found.iter().position(|finding| finding.what.contains(word)).unwrap();
    assert!(place("certificate has expired") < place("no quorum"));
}

#[test]
fn a_failover_is_told_in_one_line_each() {
    let (before, after) = (named("converged"), named("active-master-dead"));
    assert_eq!(
        changes((&before.status, now()), (&after.status, now())),
        ["fine → degraded", "the VIP moved from m1 to m2", "m1: healthy → unhealthy"]
    );
    assert_eq!(changes((&after.status, now()), (&after.status, now())), Vec::<String>::new());
}

#[test]
fn a_document_that_is_not_renewed_becomes_unknown_once() {
    let case = named("converged");
    let later = now() + jiff::SignedDuration::from_mins(10);
    assert_eq!(changes((&case.status, now()), (&case.status, later)), ["fine → unknown"]);
    assert_eq!(changes((&case.status, later), (&case.status, later)), Vec::<String>::new());
}

#[test]
fn a_wait_with_a_deadline_keeps_its_document_fresh_until_then() {
    let status = named("unformed-waiting").status;
    let deadline = status.activity.as_ref().and_then(|activity| activity.deadline).unwrap();
    let after = |minutes| deadline + jiff::SignedDuration::from_mins(minutes);
    assert_eq!(verdict(&status, after(-1)), Verdict::Waiting);
    assert_eq!(verdict(&status, after(2)), Verdict::Waiting);
    assert_eq!(verdict(&status, after(4)), Verdict::Unknown);
}
