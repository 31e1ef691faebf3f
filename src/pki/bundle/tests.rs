use super::*;
use crate::pki::issue::Authority;
use crate::pki::profile::{self, Profile, Purpose};

const NOW: &str = "2026-11-22T20:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn profile() -> Profile {
    Profile {
        common_name: "m1".into(),
        names: vec!["m1".into(), "localhost".into()],
        addresses: vec!["10.20.0.11".parse().unwrap()],
        purpose: Purpose::Node,
        not_before: now(),
        not_after: "2027-11-22T20:00:00Z".parse().unwrap(),
    }
}

fn expected() -> Expected<'static> {
    Expected { name: "m1", address: "10.20.0.11".parse().unwrap(), ca: None }
}

fn authority() -> Authority {
    Authority::create(&profile::authority(now())).unwrap()
}

#[test]
fn what_was_issued_reads_back_and_has_no_fault() {
    let authority = authority();
    let bundle = authority.issue(&profile()).unwrap();
    let read = Bundle::read(bundle.to_pem().as_bytes()).unwrap();
    let pinned = Expected { ca: fingerprint(authority.certificate()).ok(), ..expected() };
    assert_eq!(read.faults(&pinned, now()), []);
    assert_eq!(read.validity().unwrap().not_before, now());
}

#[test]
fn each_fault_is_named() {
    let (authority, other) = (authority(), authority());
    let bundle = authority.issue(&profile()).unwrap();
    let stranger = other.issue(&profile()).unwrap();
    let unpinned = fingerprint(other.certificate()).unwrap();
    let is = |bundle: &Bundle, expected: Expected<'_>, at: &str| bundle.faults(&expected, at.parse().unwrap());
    let mixed = |key: &Bundle, certificate: &Bundle, ca: &Bundle| {
        Bundle::new(key.key.clone(), certificate.certificate.clone(), ca.ca.clone())
    };
    assert_eq!(is(&mixed(&stranger, &bundle, &bundle), expected(), NOW), [Fault::Key]);
    assert_eq!(is(&mixed(&bundle, &bundle, &stranger), expected(), NOW), [Fault::Issuer]);
    assert_eq!(
        is(&bundle, Expected { ca: Some(unpinned), ..expected() }, NOW),
        [Fault::Authority { found: fingerprint(authority.certificate()).unwrap(), pinned: unpinned }]
    );
    assert_eq!(
        is(&bundle, Expected { name: "m2", ..expected() }, NOW),
        [Fault::Name { found: "m1".into(), wanted: "m2".into() }]
    );
    let elsewhere = "10.20.0.12".parse().unwrap();
    assert_eq!(is(&bundle, Expected { address: elsewhere, ..expected() }, NOW), [Fault::Address(elsewhere)]);
    assert_eq!(is(&bundle, expected(), "2026-11-22T19:59:59Z"), [Fault::NotYet(now())]);
    assert_eq!(is(&bundle, expected(), "2027-11-22T20:00:01Z"), [Fault::Expired(profile().not_after)]);
    let authority_as_node =
        Bundle::new(authority.key(), authority.certificate().into(), authority.certificate().into());
    let faults = is(&authority_as_node, expected(), NOW);
    assert!(faults.contains(&Fault::Usage), "{faults:?}");
}

#[test]
fn what_is_no_bundle_says_what_it_holds() {
    let bundle = authority().issue(&profile()).unwrap();
    let table: [(&str, &str); 3] = [
        ("", "it holds nothing"),
        (bundle.certificate(), "it holds CERTIFICATE"),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "it holds PRIVATE KEY"),
    ];
    for (text, why) in table {
        assert_eq!(Bundle::read(text.as_bytes()), Err(Fault::Form(why.into())));
    }
}

#[test]
fn debug_output_never_holds_the_key() {
    let bundle = authority().issue(&profile()).unwrap();
    assert!(!format!("{bundle:?}").contains("PRIVATE"));
}
