//! What goes over the wire, in every form that is spoken: header fields, families, versions, transports.

use crate::lab::{Lab, VIP, on_wires, router};
use crate::wait::until_true;
use crate::witness::{Frame, Witness};
use quorate::vrrp::machine::State;
use quorate::vrrp::packet::{Datagram, Discard, TTL, Version, decode};
use serde_json::json;
use std::net::IpAddr;
use std::time::Duration;

/// The advertisements of a host with this configuration, and its MAC.
fn adverts(changes: &serde_json::Value) -> (Vec<Frame>, String) {
    let mut lab = Lab::new(1);
    lab.start(changes);
    let witness = Witness::new(&lab);
    lab.hosts[0].comes_to(State::Active);
    let frames = witness.watch(Duration::from_millis(500));
    (frames.into_iter().filter(|frame| frame.vrrp().is_some()).collect(), lab.hosts[0].mac())
}

#[test]
fn t1_t2_t3_t4_t7_t9_over_ipv4() {
    on_wires(|| {
        let (frames, mac) = adverts(&json!({}));
        let frame = frames.first().expect("advertisements");
        let (header, message) = frame.vrrp().unwrap();
        assert_eq!((header[8], header[9], header[1]), (255, 112, 0xc0), "TTL, protocol, TOS");
        assert_eq!((&header[12..16], &header[16..20]), (&[10, 77, 0, 1][..], &[224, 0, 0, 18][..]));
        assert_eq!(frame.octets[..6], [1, 0, 0x5e, 0, 0, 18]);
        assert_eq!(frame.source(), mac, "the link's own MAC: virtual MACs are not used (spec/vrrp.md)");
        assert_eq!(message[..6], [0x31, 51, 254, 1, 0, 10]);
    });
}

#[test]
fn t1_t2_t3_t4_t6_t8_t9_over_ipv6() {
    on_wires(|| {
        let (frames, _) = adverts(&json!({ "addresses": ["fe80::70:33", "2001:db8::100"] }));
        let (header, message) = frames.first().expect("advertisements").vrrp().unwrap();
        let address = |octets: &[u8]| IpAddr::from(<[u8; 16]>::try_from(octets).unwrap());
        let (source, destination) = (address(&header[8..24]), address(&header[24..40]));
        assert_eq!((header[6], header[7]), (112, 255), "next header, hop limit");
        assert_eq!([header[0] & 0x0f, header[1] >> 4], [0xc, 0], "traffic class 0xc0");
        assert_eq!(destination, "ff02::12".parse::<IpAddr>().unwrap());
        assert!(matches!(source, IpAddr::V6(v6) if v6.is_unicast_link_local()) && source != address(&message[8..24]));
        let advert = decode(&Datagram { source, destination, ttl: TTL, message }, Version::V3, TTL).unwrap();
        let addresses: Vec<String> = advert.addresses().map(|address| address.to_string()).collect();
        assert_eq!(addresses, ["fe80::70:33", "2001:db8::100"]);
    });
}

#[test]
fn t6_the_pseudo_header_form_goes_out_when_configured() {
    on_wires(|| {
        for (form, text) in [("messageOnly", "MessageOnly"), ("pseudoHeader", "PseudoHeader")] {
            let (frames, _) = adverts(&json!({ "checksum": form }));
            let frame = frames.first().expect("advertisements");
            let datagram = Datagram::from_ipv4(&frame.octets[14..]).unwrap();
            assert_eq!(format!("{:?}", decode(&datagram, Version::V3, TTL).unwrap().checksum), text);
        }
    });
}

#[test]
fn f6_d3_promotion_is_told_by_arp_and_neighbour_advertisement() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        let witness = Witness::new(&lab);
        lab.hosts[0].configure(&[router(254, &json!({ "addresses": [VIP, "fe80::70:33"] }))]);
        lab.hosts[0].start();
        lab.hosts[0].comes_to(State::Active);
        let frames = witness.watch(Duration::from_millis(300));
        let mac = lab.hosts[0].mac();
        let arps = frames.iter().filter(|frame| frame.arp_from(VIP.parse().unwrap()).as_ref() == Some(&mac)).count();
        assert!(arps >= 2, "at once and again after 100 ms, not {arps}");
        let advertised = frames.iter().any(|frame| {
            let octets = &frame.octets;
            octets.len() == 86 && octets[12..14] == [0x86, 0xdd] && octets[54] == 136 && octets[21] == 255
        });
        assert!(advertised, "an unsolicited neighbour advertisement");
    });
}

#[test]
fn both_families_of_a_vip_move_together() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({ "addresses": [VIP, "fe80::70:33", "2001:db8::100"] }));
        let all = |lab: &Lab, at: usize| {
            [VIP, "fe80::70:33", "2001:db8::100"].iter().filter(|vip| lab.hosts[at].has(vip)).count()
        };
        let active = lab.settled();
        until_true("all addresses on one", || all(&lab, active) == 3 && all(&lab, 1 - active) == 0);
        // IPv4 advertisements are lost: the IPv6 ones still prove that the Active is alive.
        lab.hosts[1 - active].sh("nft add table netdev deaf; \
        nft 'add chain netdev deaf in { type filter hook ingress device eth0 priority -600; policy accept; }'; \
        nft add rule netdev deaf in ip protocol 112 drop");
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(lab.settled(), active);
        lab.hosts[active].stop();
        lab.hosts[1 - active].comes_to(State::Active);
        until_true("all addresses on the other", || all(&lab, 1 - active) == 3 && all(&lab, active) == 0);
    });
}

#[test]
fn i4_version_2_elects_and_hands_over() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({ "version": "v2", "advertIntervalCs": 100 }));
        let witness = Witness::new(&lab);
        let active = lab.settled();
        let frames = witness.watch(Duration::from_millis(1500));
        let (_, message) = frames.iter().find_map(Frame::vrrp).expect("advertisements");
        assert_eq!((message[0], message.len(), message[5]), (0x21, 20, 1));
        lab.hosts[active].stop();
        lab.hosts[1 - active].comes_to(State::Active);
    });
}

#[test]
fn r19_i3_versions_do_not_mix() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        for (at, version) in [(0, "v2"), (1, "v3")] {
            lab.hosts[at].configure(&[router(254, &json!({ "version": version, "advertIntervalCs": 100 }))]);
            lab.hosts[at].start();
        }
        for at in 0..2 {
            lab.hosts[at].comes_to(State::Active);
            until_true("the other's to be discarded", || {
                lab.hosts[at].router().is_some_and(|router| router.counters.discards.contains_key(&Discard::Version))
            });
        }
    });
}

#[test]
fn r17_unicast_goes_to_the_peers_and_is_heard_from_them_alone() {
    on_wires(|| {
        let mut lab = Lab::new(3);
        for (at, peer, priority) in [(0, 1, 254), (1, 0, 253)] {
            let transport = json!({ "unicast": { "peers": [lab.hosts[peer].address()] } });
            lab.hosts[at].configure(&[router(priority, &json!({ "transport": transport }))]);
            lab.hosts[at].start();
        }
        let witness = Witness::new(&lab);
        let active = until_settled(&lab);
        let group = [224, 0, 0, 18];
        let multicast = witness
            .watch(Duration::from_millis(400))
            .iter()
            .any(|frame| frame.vrrp().is_some_and(|(header, _)| header[16..20] == group));
        assert!(!multicast, "nothing goes to the group");
        // A third host with a higher priority that nobody listed.
        lab.hosts[2].configure(&[router(
            255,
            &json!({
                "unhealthyPriority": 254, "transport": { "unicast": { "peers": ["10.77.0.1", "10.77.0.2"] } }
            }),
        )]);
        lab.hosts[2].start();
        until_true("its datagrams to be discarded", || {
            (0..2).all(|at| {
                lab.hosts[at].router().is_some_and(|router| router.counters.discards.contains_key(&Discard::Source))
            })
        });
        assert_eq!(lab.hosts[active].router().unwrap().state, State::Active);
    });
}

/// The Active of the first two hosts.
fn until_settled(lab: &Lab) -> usize {
    crate::wait::until("one Active among two", || {
        let state = |at: usize| lab.hosts[at].router().map(|router| router.state);
        (0..2).find(|at| state(*at) == Some(State::Active) && state(1 - *at) == Some(State::Backup))
    })
}
