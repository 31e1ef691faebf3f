use super::*;
use crate::ident::{Mac, Vrid};
use crate::vrrp::machine::Sources;
use crate::vrrp::packet::{GROUP_V4, LONGEST, TTL};
use crate::vrrp::time::Interval;
use serde_json::json;

const PEER: &str = "10.9.0.12";
const VIP: &str = "10.9.0.100";

fn router(changes: serde_json::Value) -> Router {
    let mut document = json!({
        "vrid": 51, "link": "eth0", "priority": 200, "unhealthyPriority": 184, "healthyFrom": 252,
        "advertIntervalCs": 100, "preempt": "never", "transport": "multicast", "addresses": [VIP]
    });
    document.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    Router::new(&serde_json::from_value(document).unwrap(), 0, Fence::Lease)
}

fn started(changes: serde_json::Value) -> Router {
    let mut router = router(changes);
    let sources = Sources { v4: Some("10.9.0.11".parse().unwrap()), v6: None };
    router.handle_link(LinkView::Up { index: 2, mac: Mac([2, 0, 0, 0, 0, 1]), sources }, now());
    while router.machine.poll_action().is_some() {}
    router
}

fn now() -> Time {
    Time::from_nanos(1_000_000_000_000)
}

/// An advertisement from the peer, in this version, every `centiseconds`, for these addresses.
fn message(version: Version, centiseconds: u16, addresses: &[&str], checksum: ChecksumForm) -> Vec<u8> {
    let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
    let outgoing = Outgoing {
        version,
        vrid: Vrid::try_from(51).unwrap(),
        priority: 250,
        interval: Interval::try_from(centiseconds).unwrap(),
        checksum,
        addresses: &addresses,
        source: PEER.parse().unwrap(),
        destination: GROUP_V4.into(),
    };
    outgoing.encode(&mut [0; LONGEST]).to_vec()
}

fn hear(router: &mut Router, message: &[u8], ttl: u8) -> Result<Outcome, Discard> {
    let datagram = Datagram { source: PEER.parse().unwrap(), destination: GROUP_V4.into(), ttl, message };
    router.handle_datagram(&datagram, now(), now())
}

#[test]
fn r5_r11_r12_what_is_odd_is_remarked_and_heeded() {
    let form = ChecksumForm::MessageOnly;
    let table = [
        (message(Version::V3, 100, &[VIP], form), [None, None]),
        (message(Version::V3, 100, &[VIP], ChecksumForm::PseudoHeader), [Some(Remark::PseudoHeader), None]),
        (message(Version::V3, 100, &["10.9.0.99"], form), [None, Some(Remark::Addresses)]),
        (message(Version::V3, 100, &[VIP, "10.9.0.99"], form), [None, Some(Remark::Addresses)]),
        (message(Version::V3, 200, &[VIP], form), [None, None]),
    ];
    for (message, remarks) in table {
        let mut router = started(json!({}));
        assert_eq!(hear(&mut router, &message, TTL), Ok(Outcome { remarks }));
        assert_eq!(router.machine.active(), Some(PEER.parse().unwrap()), "heeded all the same");
        assert_eq!(router.counters.read().received, 1);
    }
}

#[test]
fn r13_whatever_fails_a_check_leaves_the_machine_as_it_was() {
    let form = ChecksumForm::MessageOnly;
    let good = message(Version::V3, 100, &[VIP], form);
    let mut spoiled = good.clone();
    spoiled[6] ^= 0xff;
    let unlisted = json!({ "transport": { "unicast": { "peers": ["10.9.0.13"] } } });
    let v2 = json!({ "version": "v2" });
    let table = [
        (json!({}), good.clone(), 254, Discard::Ttl),
        (json!({}), spoiled, TTL, Discard::Checksum),
        (json!({}), message(Version::V2, 100, &[VIP], form), TTL, Discard::Version),
        (unlisted, good.clone(), TTL, Discard::Source),
        (v2.clone(), good.clone(), TTL, Discard::Version),
        (v2, message(Version::V2, 200, &[VIP], form), TTL, Discard::IntervalMismatch),
    ];
    for (changes, message, ttl, reason) in table {
        let mut router = started(changes);
        let before = router.machine.clone();
        assert_eq!(hear(&mut router, &message, ttl), Err(reason));
        assert_eq!(router.machine, before, "{reason:?}");
        assert_eq!(router.counters.read().received, 0);
    }
}

#[test]
fn r17_a_listed_peer_is_heard() {
    let mut router = started(json!({ "transport": { "unicast": { "peers": [PEER] } } }));
    assert!(hear(&mut router, &message(Version::V3, 100, &[VIP], ChecksumForm::MessageOnly), TTL).is_ok());
}

#[test]
fn r18_a_version_2_interval_that_matches_is_heard() {
    let mut router = started(json!({ "version": "v2" }));
    assert!(hear(&mut router, &message(Version::V2, 100, &[VIP], ChecksumForm::MessageOnly), TTL).is_ok());
}

#[test]
fn r20_a_router_in_initialize_discards_without_effect() {
    let mut router = router(json!({}));
    let good = message(Version::V3, 100, &[VIP], ChecksumForm::MessageOnly);
    assert_eq!(hear(&mut router, &good, TTL), Err(Discard::Initialize));
}

#[test]
fn t4_the_source_is_never_one_of_our_own_virtual_addresses() {
    use crate::vrrp::address::{Found, Owner, Standing};
    let found = |address: &str, owner, standing| Found {
        index: 2,
        address: address.parse().unwrap(),
        prefix: 24,
        owner,
        standing,
    };
    let addresses = [
        found(VIP, Owner::Us, Standing::Usable),
        found("10.9.0.5", Owner::Others, Standing::Unusable),
        found("10.9.0.11", Owner::Others, Standing::Usable),
        found("10.9.0.12", Owner::Others, Standing::Usable),
        found("fe80::70:33", Owner::Us, Standing::Unusable),
        found("2001:db8::11", Owner::Others, Standing::Usable),
        found("fe80::1", Owner::Others, Standing::Unusable),
        found("fe80::11", Owner::Others, Standing::Usable),
    ];
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let sources = Sources { v4: Some("10.9.0.11".parse().unwrap()), v6: Some("fe80::11".parse().unwrap()) };
    assert_eq!(LinkView::up(2, mac, &addresses), LinkView::Up { index: 2, mac, sources });
    let none = LinkView::up(3, mac, &addresses);
    assert_eq!(none.obstacle(&[Family::V4]), Some(Obstacle::NoIpv4Source));
    assert_eq!(none.obstacle(&[Family::V6]), Some(Obstacle::NoIpv6Source));
}

#[test]
fn a_reload_names_the_addresses_that_an_active_no_longer_has() {
    let mut router = started(json!({}));
    let deadline = router.machine.next_timeout().unwrap();
    router.handle_timeout(deadline);
    assert_eq!(router.machine.state(), State::Active);
    let mut config = router.config.clone();
    config.addresses = vec!["10.9.0.101".parse().unwrap()];
    let stale = router.reconfigure(&config, Fence::Lease, deadline);
    assert_eq!(stale.as_deref(), Some(&[VIP.parse().unwrap()][..]));
    assert_eq!(router.reconfigure(&config, Fence::Lease, deadline), None);
}
