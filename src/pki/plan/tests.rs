use super::*;
use crate::pki::issue::Authority;
use crate::pki::profile::{self, Profile, Purpose};
use std::path::PathBuf;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn now() -> Timestamp {
    at("2026-11-22T20:00:00Z")
}

fn bundle(name: &str, not_before: &str) -> Bundle {
    let authority = Authority::create(&profile::authority(now())).unwrap();
    let profile = Profile {
        common_name: name.into(),
        names: vec![name.into()],
        addresses: vec!["10.20.0.11".parse().unwrap()],
        purpose: Purpose::Node,
        not_before: at(not_before),
        not_after: at("2027-06-01T00:00:00Z"),
    };
    authority.issue(&profile).unwrap()
}

fn desired() -> Desired {
    Desired { me: "m1".parse().unwrap(), address: "10.20.0.11".parse().unwrap(), ca: None }
}

fn observed(installed: Installed, dropped: Vec<Result<Bundle, Fault>>) -> Observed {
    let named = |(at, bundle)| Dropped { origin: PathBuf::from(format!("/drop{at}/node.pem")), bundle };
    Observed {
        at: now(),
        dropped: dropped.into_iter().enumerate().map(named).collect(),
        installed,
        place: "/var/lib/quorate/pki".into(),
    }
}

fn origin(plan: &Plan<Action>) -> Option<&Path> {
    plan.steps.first().map(|step| match &step.action {
        Action::Install { origin, .. } => origin.as_path(),
    })
}

#[test]
fn without_anything_it_waits_for_a_drop() {
    let plan = plan(&desired(), &observed(Installed::Absent, vec![]));
    assert_eq!(plan.blocked[0].hold, Hold::Waiting);
    assert!(plan.steps.is_empty());
}

#[test]
fn the_newest_good_bundle_is_installed_and_the_key_is_written_last() {
    let dropped = vec![
        Ok(bundle("m1", "2026-01-01T00:00:00Z")),
        Ok(bundle("m1", "2026-11-01T00:00:00Z")),
        Ok(bundle("m2", "2026-11-02T00:00:00Z")),
    ];
    let plan = plan(&desired(), &observed(Installed::Absent, dropped));
    assert_eq!(origin(&plan), Some(Path::new("/drop1/node.pem")));
    let Action::Install { files, .. } = &plan.steps[0].action;
    let last = files.last().unwrap();
    assert_eq!((last.path.as_path(), last.mode), (Path::new("/var/lib/quorate/pki/node.key"), 0o600));
}

#[test]
fn a_good_bundle_in_force_stays_until_a_newer_good_one_comes() {
    let installed = || Installed::Present(bundle("m1", "2026-06-01T00:00:00Z"));
    let table = [
        ("2026-01-01T00:00:00Z", "m1", None, 0),
        ("2026-11-01T00:00:00Z", "m1", Some(Path::new("/drop0/node.pem")), 0),
        // An older bundle of another master is a leftover; a newer one was meant for somebody, and that is said.
        ("2026-01-01T00:00:00Z", "m2", None, 0),
        ("2026-11-01T00:00:00Z", "m2", None, 1),
    ];
    for (since, name, installs, blocked) in table {
        let plan = plan(&desired(), &observed(installed(), vec![Ok(bundle(name, since))]));
        assert_eq!((origin(&plan), plan.blocked.len()), (installs, blocked), "{since} {name}");
    }
}

#[test]
fn a_faulty_one_in_force_is_replaced_by_a_good_drop_or_refused_with_its_fault() {
    let broken = || Installed::Broken(Fault::Form("it holds nothing".into()));
    let good = Ok(bundle("m1", "2026-01-01T00:00:00Z"));
    assert!(origin(&plan(&desired(), &observed(broken(), vec![good]))).is_some());
    let plan = plan(&desired(), &observed(broken(), vec![Ok(bundle("m2", "2026-01-01T00:00:00Z"))]));
    let why: Vec<&str> = plan.blocked.iter().map(|blocked| blocked.why.as_str()).collect();
    assert_eq!(why.len(), 2, "{why:?}");
    assert_eq!(why[0], "it was issued to 'm2', this master is 'm1'");
}
