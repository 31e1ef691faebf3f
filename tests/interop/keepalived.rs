//! With keepalived, in every way it is found in the field.

use crate::both_ways::{Destination, Expected, router, take_over};
use crate::wire::keepalived::{SHORT_CHECKSUM, knows};
use crate::wire::{Form, Kind, Router, Version, world};

const PROGRAMS: [&str; 1] = ["keepalived"];
const GROUP_V4: Destination = Destination::Group("224.0.0.18");
const V4: [&str; 1] = ["10.77.1.0"];
const V6: [&str; 2] = ["fe80::77:51", "fd77::51"];

/// keepalived's default for IPv4 is the form of RFC 5798, which it also insists on.
#[test]
fn version_3_by_multicast_with_default_checksums() {
    let expected = Expected { version: 3, forms: [Form::WithPseudoHeader; 2], destination: GROUP_V4 };
    let name = "keepalived::version_3_by_multicast_with_default_checksums";
    take_over(name, Kind::Keepalived, &PROGRAMS, router(Version::V3, &V4), expected);
}

/// Newer versions of keepalived can be told to use the form of RFC 9568.
#[test]
fn version_3_by_multicast_with_checksums_of_the_message_alone() {
    let expected = Expected { version: 3, forms: [Form::MessageOnly; 2], destination: GROUP_V4 };
    let name = "keepalived::version_3_by_multicast_with_checksums_of_the_message_alone";
    if world::installed("keepalived") && !knows(SHORT_CHECKSUM) {
        return world::skip(name, &format!("this keepalived does not know '{SHORT_CHECKSUM}'"));
    }
    let router = Router { form: Form::MessageOnly, ..router(Version::V3, &V4) };
    take_over(name, Kind::Keepalived, &PROGRAMS, router, expected);
}

#[test]
fn version_3_by_unicast() {
    let expected = Expected { version: 3, forms: [Form::WithPseudoHeader; 2], destination: Destination::Other };
    // Any peer: each host gets the other one's address.
    let router = Router { peers: vec!["10.77.0.2".parse().unwrap()], ..router(Version::V3, &V4) };
    take_over("keepalived::version_3_by_unicast", Kind::Keepalived, &PROGRAMS, router, expected);
}

#[test]
fn version_3_over_ipv6() {
    let expected =
        Expected { version: 3, forms: [Form::WithPseudoHeader; 2], destination: Destination::Group("ff02::12") };
    take_over("keepalived::version_3_over_ipv6", Kind::Keepalived, &PROGRAMS, router(Version::V3, &V6), expected);
}

#[test]
fn version_2() {
    let expected = Expected { version: 2, forms: [Form::MessageOnly; 2], destination: GROUP_V4 };
    take_over("keepalived::version_2", Kind::Keepalived, &PROGRAMS, router(Version::V2, &V4), expected);
}
