//! What others on the wire say: garbage, rivals, partitions.

use crate::lab::{Lab, VIP, on_wires, router};
use crate::wait::until_true;
use crate::witness::Witness;
use quorate::ident::Vrid;
use quorate::vrrp::machine::State;
use quorate::vrrp::packet::{ChecksumForm, Discard, LONGEST, Outgoing, Version};
use quorate::vrrp::time::Interval;
use serde_json::json;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

const RIVAL: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);

/// A well-formed advertisement of our router from the rival.
fn advert(priority: u8, checksum: ChecksumForm) -> Vec<u8> {
    let addresses: [IpAddr; 1] = [VIP.parse().unwrap()];
    let outgoing = Outgoing {
        version: Version::V3,
        vrid: Vrid::try_from(51).unwrap(),
        priority,
        interval: Interval::try_from(10).unwrap(),
        checksum,
        addresses: &addresses,
        source: RIVAL.into(),
        destination: "224.0.0.18".parse().unwrap(),
    };
    outgoing.encode(&mut [0; LONGEST]).to_vec()
}

/// Datagrams that fail one check each, all of them claiming the highest priority.
fn garbage() -> Vec<(Discard, u8, Vec<u8>)> {
    let good = advert(255, ChecksumForm::MessageOnly);
    let changed = |at: usize, octet: u8| {
        let mut message = good.clone();
        message[at] = octet;
        message[6..8].fill(0);
        let sum: u32 = message.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        let folded = u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
        message[6..8].copy_from_slice(&(!folded).to_be_bytes());
        message
    };
    let mut bad_sum = good.clone();
    bad_sum[7] ^= 0xff;
    vec![
        (Discard::Ttl, 254, good.clone()),
        (Discard::Version, 255, changed(0, 0x21)),
        (Discard::Type, 255, changed(0, 0x32)),
        (Discard::Length, 255, good[..10].to_vec()),
        (Discard::Checksum, 255, bad_sum),
        (Discard::NoAddress, 255, changed(3, 0)),
        (Discard::ZeroInterval, 255, changed(5, 0)),
    ]
}

#[test]
fn r13_r14_b1_garbage_changes_nothing_and_each_reason_is_counted() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        lab.start(&json!({}));
        let witness = Witness::new(&lab);
        let active = lab.settled();
        let known = Some(lab.hosts[active].address());
        until_true("both to know the Active", || {
            lab.hosts[..2].iter().all(|host| host.router().is_some_and(|router| router.active == known))
        });
        let before: Vec<_> = lab.hosts[..2].iter().map(|host| host.router().unwrap()).collect();
        witness.seen();
        let start = Instant::now();
        // 10 ms apart, a tenth of the interval: keepalived's Active never gets to advertise under this (reference, B1).
        for _ in 0..30 {
            for (_, ttl, message) in garbage() {
                witness.forge(RIVAL, ttl, &message);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let mac = lab.hosts[active].mac();
        let expected = start.elapsed().as_millis() / 100;
        let adverts = witness.seen().iter().filter(|frame| frame.source() == mac && frame.vrrp().is_some()).count();
        // Half would already be too few for a peer to stay quiet; how regular they are is for the bench to say.
        assert!(adverts as u128 > expected / 2, "{adverts} advertisements where {expected} were due");
        for (at, before) in before.iter().enumerate() {
            let expected: BTreeMap<Discard, u64> = garbage().iter().map(|(reason, ..)| (*reason, 30)).collect();
            until_true("the counters", || lab.hosts[at].router().unwrap().counters.discards == expected);
            let after = lab.hosts[at].router().unwrap();
            assert_eq!((after.transitions, after.since), (before.transitions, before.since), "{}", lab.hosts[at].log());
            assert_eq!(after.active, before.active);
            let lines = lab.hosts[at].log().matches("discarded").count();
            assert!(lines <= 2 * garbage().len(), "{lines} lines for 210 datagrams");
        }
    });
}

#[test]
fn r6_another_id_belongs_to_nobody() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({}));
        let witness = Witness::new(&lab);
        lab.hosts[0].comes_to(State::Active);
        let mut message = advert(255, ChecksumForm::MessageOnly);
        message[1] = 77;
        witness.forge(RIVAL, 255, &message);
        until_true("the counter", || {
            lab.hosts[0].state().is_some_and(|state| state.unassigned.discards.get(&Discard::Vrid) == Some(&1))
        });
        lab.hosts[0].comes_to(State::Active);
    });
}

#[test]
fn f13_r5_a_higher_rival_is_yielded_to_with_either_checksum() {
    on_wires(|| {
        for form in [ChecksumForm::MessageOnly, ChecksumForm::PseudoHeader] {
            let mut lab = Lab::new(1);
            lab.start(&json!({ "priority": 200, "unhealthyPriority": 184 }));
            let witness = Witness::new(&lab);
            lab.hosts[0].comes_to(State::Active);
            until_true("Backup", || {
                witness.forge(RIVAL, 255, &advert(201, form));
                std::thread::sleep(Duration::from_millis(50));
                lab.hosts[0].router().is_some_and(|router| router.state == State::Backup)
            });
            until_true("the VIP to go", || !lab.hosts[0].has(VIP));
            assert_eq!(lab.hosts[0].router().unwrap().active, Some(RIVAL.into()));
        }
    });
}

#[test]
fn f14_a_losing_rival_is_answered_before_the_next_advertisement_is_due() {
    on_wires(|| {
        let mut lab = Lab::new(1);
        lab.start(&json!({ "advertIntervalCs": 300 }));
        let witness = Witness::new(&lab);
        lab.hosts[0].comes_to(State::Active);
        let mac = lab.hosts[0].mac();
        let ours = |witness: &Witness| {
            witness.seen().iter().filter(|frame| frame.source() == mac && frame.vrrp().is_some()).count()
        };
        ours(&witness);
        for _ in 0..10 {
            witness.forge(RIVAL, 255, &advert(100, ChecksumForm::MessageOnly));
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(ours(&witness) >= 10, "each is answered");
    });
}

#[test]
fn b8_a_healed_partition_leaves_one_active_that_announces_itself() {
    on_wires(|| {
        let mut lab = Lab::new(2);
        // Equal priorities: the greater address wins.
        for at in 0..2 {
            lab.hosts[at].configure(&[router(200, &json!({}))]);
            lab.hosts[at].start();
        }
        let witness = Witness::new(&lab);
        let active = lab.settled();
        // One way: the Backup hears nothing any more, so both are Active.
        let deaf = &lab.hosts[1 - active];
        deaf.sh("nft add table netdev deaf; nft 'add chain netdev deaf in { type filter hook ingress device eth0 priority -600; policy accept; }'; \
             nft add rule netdev deaf in ip protocol 112 drop");
        deaf.comes_to(State::Active);
        // The one that still hears yields only to a greater address; the other is told when it hears again.
        deaf.sh("nft delete table netdev deaf");
        let winner = lab.settled();
        let mac = lab.hosts[winner].mac();
        until_true("the winner's announcement", || {
            witness.seen().iter().any(|frame| frame.arp_from(VIP.parse().unwrap()).as_ref() == Some(&mac))
        });
        until_true("one holder", || lab.hosts[winner].has(VIP) && !lab.hosts[1 - winner].has(VIP));
    });
}
