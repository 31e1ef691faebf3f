//! One virtual router, quorate on one host and a peer on the other: each takes over from the other, after a resignation and after
//! silence, and neither disturbs the other meanwhile.

use crate::scene::Scene;
use crate::wire::{Advert, Form, Kind, Moment, Router, Version, world};
use std::net::IpAddr;

const QUORATE: usize = 0;
const PEER: usize = 1;
/// The peer's is the higher one, so that only its having joined as Backup keeps quorate Active.
const PRIORITIES: [u8; 2] = [200, 201];

/// A virtual router for a test; every 100 ms where the version allows it.
pub fn router(version: Version, addresses: &[&str]) -> Router {
    Router {
        vrid: 51,
        version,
        interval_cs: if version == Version::V2 { 100 } else { 10 },
        priority: PRIORITIES[QUORATE],
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        peers: Vec::new(),
        form: Form::WithPseudoHeader,
    }
}

/// What the wire must have carried.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    pub version: u8,
    /// Of quorate and of the peer.
    pub forms: [Form; 2],
    pub destination: Destination,
}

#[derive(Debug, Clone, Copy)]
pub enum Destination {
    Group(&'static str),
    /// The other host's own address.
    Other,
}

/// Runs the whole exchange inside a lab of its own, as the test called `name`.
pub fn take_over(name: &str, peer: Kind, programs: &[&str], router: Router, expected: Expected) {
    world::test(name, programs, || {
        let scene = Scene::new(2, router);
        let check =
            |adverts: &[Advert], host: usize| adverts.iter().for_each(|advert| expected.check(&scene, *advert, host));

        let start = Moment::now();
        let ours = scene.start(Kind::Quorate, QUORATE, PRIORITIES[QUORATE]);
        scene.becomes_active(QUORATE, start, &[&ours]);
        let theirs = scene.start(peer, PEER, PRIORITIES[PEER]);
        check(&scene.stays_the_only_active(QUORATE, &[&ours, &theirs]), QUORATE);

        let resigned = Moment::now();
        ours.stop_and_wait();
        scene.becomes_active(PEER, resigned, &[&ours, &theirs]);
        assert!(!scene.host(QUORATE).holds(scene.router.vip()), "quorate stopped and left the address");

        let ours = scene.start(Kind::Quorate, QUORATE, PRIORITIES[QUORATE]);
        check(&scene.stays_the_only_active(PEER, &[&ours, &theirs]), PEER);

        let resigned = Moment::now();
        theirs.stop_and_wait();
        scene.becomes_active(QUORATE, resigned, &[&ours, &theirs]);

        let theirs = scene.start(peer, PEER, PRIORITIES[PEER]);
        scene.stays_the_only_active(QUORATE, &[&ours, &theirs]);

        // Frozen, not killed: whoever supervises a dead daemon resigns in its name, and this is about silence.
        let silent = Moment::now();
        ours.freeze();
        scene.becomes_active(PEER, silent, &[&ours, &theirs]);
        ours.thaw();
        scene.stays_the_only_active(PEER, &[&ours, &theirs]);

        let silent = Moment::now();
        theirs.freeze();
        scene.becomes_active(QUORATE, silent, &[&ours, &theirs]);
    });
}

impl Expected {
    fn check(&self, scene: &Scene, advert: Advert, host: usize) {
        let other: IpAddr = scene.host(1 - host).address_like(scene.router.vip());
        let destination = match self.destination {
            Destination::Group(group) => group.parse().unwrap(),
            Destination::Other => other,
        };
        assert_eq!(
            (advert.version, advert.ttl, advert.form, advert.destination, advert.priority),
            (self.version, 255, self.forms[host], destination, PRIORITIES[host]),
        );
        // What a peer sends from is its own affair: FRR has an address for it on its macvlan.
        if host == QUORATE {
            assert_eq!(advert.source, scene.host(host).address_like(other));
        }
    }
}
