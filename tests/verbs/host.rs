//! The verbs of a host, on a directory in place of its root: what they say before and after the first manifest.

use super::desk::desk;
use super::{expect, quorate};
use std::fs;
use tempfile::TempDir;

/// A desk with a host beside it, whose image trusts the desk's key.
fn host() -> TempDir {
    let place = desk();
    for directory in ["host/usr/lib/quorate/trust", "host/etc/quorate/drop", "host/var/lib", "host/run"] {
        fs::create_dir_all(place.path().join(directory)).unwrap();
    }
    fs::copy(place.path().join("signers"), place.path().join("host/usr/lib/quorate/trust/allowed_signers")).unwrap();
    place
}

fn drop_signed(place: &TempDir) {
    assert!(quorate(place.path(), &["sign", "--key", "id"]).status.success());
    for file in ["manifest.yaml.sig", "manifest.yaml"] {
        fs::copy(place.path().join(file), place.path().join("host/etc/quorate/drop").join(file)).unwrap();
    }
}

/// Both forms of each verb in one situation.
fn all(situation: &str, place: &TempDir) {
    let at = place.path();
    for (form, json) in [("", &[][..]), ("-json", &["--json"][..])] {
        let with = |arguments: &[&'static str]| [arguments, json].concat();
        expect(&format!("plan-{situation}{form}"), at, &with(&["plan", "--root", "host"]));
        expect(&format!("reconcile-{situation}{form}"), at, &with(&["reconcile", "--wait", "0s", "--root", "host"]));
        expect(&format!("status-{situation}{form}"), at, &with(&["status", "--root", "host"]));
    }
}

#[test]
fn before_the_first_manifest() {
    let place = host();
    expect("status-never-ran", place.path(), &["status", "--root", "host"]);
    all("no-manifest", &place);
    drop_signed(&place);
    let tried = ["reconcile", "--root", "host", "--wait", "0s", "--try", "60s", "manifest.yaml"];
    fs::remove_file(place.path().join("host/etc/quorate/drop/manifest.yaml")).unwrap();
    expect("reconcile-try-first", place.path(), &tried);
    expect("reconcile-try-first-json", place.path(), &[&tried[..], &["--json"]].concat());
}

#[test]
fn a_manifest_that_names_another_host() {
    let place = host();
    drop_signed(&place);
    all("not-a-master", &place);
    expect("reconcile-try-nothing", place.path(), &["reconcile", "--try", "60s", "--root", "host", "manifest.yaml"]);
    expect("reconcile-try-missing", place.path(), &["reconcile", "--try", "60s", "--root", "host", "nowhere.yaml"]);
    expect("reconcile-try-alone", place.path(), &["reconcile", "--try", "60s"]);
    expect("reconcile-try-long", place.path(), &["reconcile", "--try", "1h", "manifest.yaml"]);
}

#[test]
fn a_drop_that_nobody_signed() {
    let place = host();
    drop_signed(&place);
    fs::remove_file(place.path().join("host/etc/quorate/drop/manifest.yaml.sig")).unwrap();
    all("unsigned-drop", &place);
}

#[test]
fn a_host_without_trust() {
    let place = desk();
    fs::create_dir_all(place.path().join("host/run")).unwrap();
    expect("plan-no-trust", place.path(), &["plan", "--root", "host"]);
    expect("reconcile-no-trust", place.path(), &["reconcile", "--wait", "0s", "--root", "host"]);
}

#[test]
fn a_report() {
    let place = host();
    drop_signed(&place);
    quorate(place.path(), &["reconcile", "--wait", "0s", "--root", "host"]);
    expect("report", place.path(), &["report", "--root", "host", "--output", "report.tar"]);
}

#[test]
fn a_store_that_cannot_be_written_leaves_what_is_in_force() {
    let place = host();
    drop_signed(&place);
    let run = ["reconcile", "--wait", "0s", "--root", "host"];
    assert_eq!(quorate(place.path(), &run).status.code(), Some(3));
    // Where the next manifest would be kept lies something else.
    let next = place.path().join("manifest.yaml");
    fs::copy(place.path().join("next.yaml"), &next).unwrap();
    let checked = quorate(place.path(), &["check", "--json"]).stdout;
    let checked: serde_json::Value = serde_json::from_slice(&checked).unwrap();
    let kept = format!("host/var/lib/quorate/manifests/2-{}", checked["digest"].as_str().unwrap());
    fs::write(place.path().join(kept), "in the way").unwrap();
    fs::remove_file(place.path().join("manifest.yaml.sig")).unwrap();
    drop_signed(&place);
    expect("reconcile-unwritable", place.path(), &run);
    expect("status-unwritable", place.path(), &["status", "--root", "host"]);
}
