//! With FRR's vrrpd, which answers with the virtual router's own hardware address.

use crate::both_ways::{Destination, Expected, router, take_over};
use crate::wire::frr::{VRRPD, ZEBRA};
use crate::wire::{Form, Kind, Version};

const PROGRAMS: [&str; 2] = [ZEBRA, VRRPD];

#[test]
fn version_3_over_ipv4() {
    let expected =
        Expected { version: 3, forms: [Form::WithPseudoHeader; 2], destination: Destination::Group("224.0.0.18") };
    take_over("frr::version_3_over_ipv4", Kind::Frr, &PROGRAMS, router(Version::V3, &["10.77.1.0"]), expected);
}

#[test]
fn version_3_over_ipv6() {
    let expected =
        Expected { version: 3, forms: [Form::WithPseudoHeader; 2], destination: Destination::Group("ff02::12") };
    let router = router(Version::V3, &["fe80::77:51", "fd77::51"]);
    take_over("frr::version_3_over_ipv6", Kind::Frr, &PROGRAMS, router, expected);
}

#[test]
fn version_2() {
    let expected =
        Expected { version: 2, forms: [Form::MessageOnly; 2], destination: Destination::Group("224.0.0.18") };
    take_over("frr::version_2", Kind::Frr, &PROGRAMS, router(Version::V2, &["10.77.1.0"]), expected);
}
