//! What a new manifest will do to the cluster, in words: for the person who is about to sign it.
//!
//! Each [`Effect`] is one thing that changes, with what follows from it and what it risks, in the order in which the
//! masters carry it out. It describes; whether the change is allowed is [`super::succession`]'s verdict.

use super::{EtcdPhase, Identity, Manifest, Master, Probe, ProbeTarget, Recovery, Transport};
use crate::plan::Part;
use crate::quorum::membership::{Seat, Transition};
use crate::quorum::tolerance;
use serde::Serialize;
use std::net::IpAddr;

/// One thing that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// The part of the hosts that it concerns.
    pub part: Part,
    /// What is different.
    pub what: String,
    /// What the masters do about it, or what somebody has to do.
    pub then: String,
    /// What may go wrong meanwhile.
    pub risk: Option<String>,
}

/// Everything that changes from `before` to `after`, in the order in which it is carried out.
pub fn effects(before: &Manifest, after: &Manifest) -> Vec<Effect> {
    let mut effects = Effects(Vec::new());
    paperwork(before, after, &mut effects);
    certificates(before, after, &mut effects);
    virtual_router(before, after, &mut effects);
    membership(before, after, &mut effects);
    effects.0.sort_by_key(|effect| effect.part);
    effects.0
}

struct Effects(Vec<Effect>);

impl Effects {
    fn add(&mut self, part: Part, what: String, then: &str, risk: Option<&str>) {
        self.0.push(Effect { part, what, then: then.to_owned(), risk: risk.map(str::to_owned) });
    }
}

fn paperwork(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    if before.environment != after.environment {
        effects.add(
            Part::Manifest,
            format!("the environment is {:?} instead of {:?}", after.environment, before.environment).to_lowercase(),
            "the number of masters is judged by its rules",
            None,
        );
    }
    if before.expires_at != after.expires_at {
        let what = match after.expires_at {
            Some(at) => format!("the manifest expires at {at}"),
            None => "the manifest no longer expires".to_owned(),
        };
        let then = "hosts that see it later do not accept it; where it is in force it stays in force";
        effects.add(Part::Manifest, what, then, None);
    }
    if before.acknowledged != after.acknowledged {
        effects.add(
            Part::Manifest,
            "other risks are acknowledged".into(),
            "the refusals that they concern are lifted or return",
            None,
        );
    }
    for (was, is) in both(before, after) {
        if was.identity != is.identity {
            effects.add(
                Part::Manifest,
                format!(
                    "'{}' is recognised by {} instead of {}",
                    is.name,
                    known_by(&is.identity),
                    known_by(&was.identity)
                ),
                "the host that matches becomes this master at its next run",
                Some("a host that no longer matches any entry keeps running as it is and changes nothing"),
            );
        }
    }
}

fn certificates(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    if before.ca != after.ca {
        let what = match after.ca {
            Some(ca) => format!("certificates have to come from the CA {}", ca.short()),
            None => "the cluster CA is no longer pinned".to_owned(),
        };
        effects.add(
            Part::Pki,
            what,
            "issue new bundles with 'quorate pki issue' and drop them on every master",
            Some("masters with certificates of different CAs do not talk to each other"),
        );
    }
    let Transition { added, moved, .. } = Transition::between(&before.seats(), &after.seats());
    for name in added.iter().chain(&moved) {
        effects.add(
            Part::Pki,
            format!("'{name}' needs a certificate for its address"),
            "issue it with 'quorate pki issue' and drop it on that host",
            None,
        );
    }
    if before.vip.addresses != after.vip.addresses {
        effects.add(
            Part::Pki,
            "the certificates name the old virtual IP".into(),
            "issue new bundles with 'quorate pki issue' and drop them on every master",
            Some("clients that check names refuse the masters at the new virtual IP until then"),
        );
    }
}

fn virtual_router(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    const DEAF: &str = "until every master has it, those with the old and those with the new do not hear each other: the \
                        virtual IP may be held twice";
    let mut add = |what: String, then: &str, risk: Option<&str>| effects.add(Part::Vrrp, what, then, risk);
    if before.vip.addresses != after.vip.addresses {
        add(
            format!("the virtual IP is {} instead of {}", list(&after.vip.addresses), list(&before.vip.addresses)),
            "the active master gives up the old address and takes the new one",
            Some(
                "clients that use the old address lose the API server; with part of the masters on either, both are held",
            ),
        );
    }
    for (was, is) in both(before, after) {
        let (from, to) = (before.interface_of(was), after.interface_of(is));
        if from != to {
            add(
                format!("'{}' carries the virtual IP on '{to}' instead of '{from}'", is.name),
                "its daemon moves to the other link",
                Some("if the label matches no link there, this master stops standing in for the virtual IP"),
            );
        }
    }
    let (was, is) = (&before.vrrp, &after.vrrp);
    if was.router_id != is.router_id {
        let what = format!("the virtual router is {} instead of {}", is.router_id, was.router_id);
        add(what, "every daemon changes at its host's next run", Some(DEAF));
    }
    if was.transport != is.transport {
        let word = |transport| match transport {
            Transport::Multicast => "multicast",
            Transport::Unicast => "unicast",
        };
        let what = format!("advertisements go by {} instead of {}", word(is.transport), word(was.transport));
        add(what, "every daemon changes at its host's next run", Some(DEAF));
    }
    if was.advertise_interval_cs != is.advertise_interval_cs {
        let ms = |centiseconds: u16| u32::from(centiseconds) * 10;
        add(
            format!(
                "advertisements come every {}ms instead of {}ms",
                ms(is.advertise_interval_cs),
                ms(was.advertise_interval_cs)
            ),
            "backups learn the interval from the active master (RFC 9568 §6.1)",
            None,
        );
    }
    if was.preempt != is.preempt {
        let (what, risk) = if is.preempt {
            let risk = "the virtual IP moves whenever a preferred master comes back";
            ("a preferred master that comes back takes the virtual IP from a working one", Some(risk))
        } else {
            ("a working master keeps the virtual IP when a preferred one comes back", None)
        };
        add(what.into(), "every daemon changes at its host's next run", risk);
    }
    let order = |manifest: &Manifest| -> Vec<String> {
        let listed_twice =
            |master: &&Master| before.master(&master.name).is_some() && after.master(&master.name).is_some();
        manifest.masters.iter().filter(listed_twice).map(|master| master.name.to_string()).collect()
    };
    if order(before) != order(after) {
        add(
            format!("masters are preferred in the order {}", order(after).join(", ")),
            "it decides the next election",
            is.preempt.then_some("the virtual IP moves to the first of them that is healthy"),
        );
    }
    if before.health != after.health {
        let probes: Vec<String> = after.health.iter().map(probe).collect();
        let what = if probes.is_empty() { "nothing".to_owned() } else { probes.join(", ") };
        add(
            format!("the health of a master is judged by {what}"),
            "a master that fails gives way to a healthy one; if all fail, the virtual IP stays where it is",
            None,
        );
    }
}

fn membership(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    let (seats_before, seats_after) = (before.seats(), after.seats());
    let Transition { added, removed, moved } = Transition::between(&seats_before, &seats_after);
    let at = |seats: &[Seat], name: &crate::ident::NodeName| {
        seats.iter().find(|seat| seat.name == *name).map_or_else(String::new, |seat| seat.address.to_string())
    };
    let (from, to) = (seats_before.len(), seats_after.len());
    let meanwhile = format!(
        "one change at a time, each checked against a fresh quorum read; {from} masters tolerate the loss of {}, {to} of {}",
        tolerance(from),
        tolerance(to)
    );
    for name in &removed {
        effects.add(
            Part::Etcd,
            format!("'{name}' ({}) leaves", at(&seats_before, name)),
            "it hands over leadership and removes itself; if it is dead, it is removed before its replacement is added",
            Some(&meanwhile),
        );
    }
    for name in &moved {
        effects.add(
            Part::Etcd,
            format!("'{name}' moves from {} to {}", at(&seats_before, name), at(&seats_after, name)),
            "for etcd it is another member: the old one leaves, the new one learns and is promoted",
            Some(&meanwhile),
        );
    }
    for name in &added {
        effects.add(
            Part::Etcd,
            format!("'{name}' ({}) joins", at(&seats_after, name)),
            "it learns without a vote and is promoted once it is in sync; the next one waits for it",
            Some(&meanwhile),
        );
    }
    match (&before.etcd, &after.etcd) {
        (EtcdPhase::Genesis, EtcdPhase::Formed { cluster_id }) => effects.add(
            Part::Etcd,
            format!("the etcd cluster is {cluster_id:016x} and exists"),
            "no master ever forms one again, whatever it has lost",
            None,
        ),
        (_, EtcdPhase::Recovery(Recovery { lost, from, snapshot, expires_at })) if before.etcd != after.etcd => effects.add(
            Part::Etcd,
            match snapshot {
                Some(digest) => format!("etcd cluster {lost:016x} is given up; '{from}' restores snapshot {}", digest.short()),
                None => format!("etcd cluster {lost:016x} is given up; '{from}' carries its data over into a new one"),
            },
            &format!(
                "unless a majority of the lost cluster still runs, and not after {expires_at}; all old data is archived, \
                 and the others join the new cluster one after another"
            ),
            Some("writes that only the other masters had are gone"),
        ),
        (EtcdPhase::Recovery(_), EtcdPhase::Formed { cluster_id }) => effects.add(
            Part::Etcd,
            format!("the etcd cluster is {cluster_id:016x}"),
            "the recovery is over; data of the lost cluster is archived wherever it turns up",
            None,
        ),
        (was, is) if was != is => effects.add(
            Part::Etcd,
            "the etcd cluster is another, or none yet".into(),
            "no master accepts this",
            Some("a second cluster formed over the first loses its data"),
        ),
        _ => {}
    }
}

/// Masters that both manifests list, as each has them.
fn both<'a>(before: &'a Manifest, after: &'a Manifest) -> Vec<(&'a Master, &'a Master)> {
    before.masters.iter().filter_map(|was| after.master(&was.name).map(|is| (was, is))).collect()
}

fn known_by(identity: &Identity) -> String {
    let Identity { machine_id, mac, hostname, serial, uuid } = identity;
    let words = [
        machine_id.as_ref().map(|id| format!("machine id {}", id.as_str())),
        mac.map(|mac| format!("MAC address {mac}")),
        hostname.as_ref().map(|hostname| format!("host name '{hostname}'")),
        serial.as_ref().map(|serial| format!("serial '{serial}'")),
        uuid.as_ref().map(|uuid| format!("UUID {uuid}")),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(" and ")
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ")
}

fn probe(probe: &Probe) -> String {
    let (ProbeTarget::Tcp(target) | ProbeTarget::Http(target) | ProbeTarget::Https(target)) = &probe.target;
    format!("{target} every {}ms (fall {}, rise {})", probe.interval.as_millis(), probe.fall, probe.rise)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse::parse;

    const EXAMPLE: &str = include_str!("../../spec/examples/three-masters.yaml");

    fn told(from: &str, to: &str) -> Vec<String> {
        let manifest = |text: &str| {
            parse("manifest.yaml", text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).manifest
        };
        assert!(EXAMPLE.contains(from));
        let effects = effects(&manifest(EXAMPLE), &manifest(&EXAMPLE.replace(from, to)));
        effects.iter().map(|effect| format!("{}: {}", effect.part, effect.what)).collect()
    }

    #[test]
    fn nothing_changes_between_equal_manifests() {
        assert_eq!(told("generation: 1", "generation: 2"), Vec::<String>::new());
    }

    #[test]
    fn every_change_is_told_in_the_order_of_its_execution() {
        let five = "    - { name: m4, address: 10.20.0.14, identity: { hostname: m4 } }\n    - { name: m5, address: \
                    10.20.0.15, identity: { hostname: m5 } }\n  vrrp:";
        assert_eq!(
            told("  vrrp:", five),
            [
                "pki: 'm4' needs a certificate for its address",
                "pki: 'm5' needs a certificate for its address",
                "etcd: 'm4' (10.20.0.14) joins",
                "etcd: 'm5' (10.20.0.15) joins",
            ]
        );
        let table = [
            ("10.20.0.13", "10.20.0.23", "etcd: 'm3' moves from 10.20.0.13 to 10.20.0.23"),
            ("routerId: 51", "routerId: 52", "vrrp: the virtual router is 52 instead of 51"),
            ("multicast", "unicast", "vrrp: advertisements go by unicast instead of multicast"),
            ("100ms", "1s", "vrrp: advertisements come every 1000ms instead of 100ms"),
            (
                "preempt: false",
                "preempt: true",
                "vrrp: a preferred master that comes back takes the virtual IP from a working one",
            ),
            ("interface: eth0", "interface: eth1", "vrrp: 'm1' carries the virtual IP on 'eth1' instead of 'eth0'"),
            ("10.20.0.100", "10.20.0.200", "vrrp: the virtual IP is 10.20.0.200 instead of 10.20.0.100"),
            (
                "fall: 3",
                "fall: 5",
                "vrrp: the health of a master is judged by https://127.0.0.1:6443/livez every 1000ms (fall 5, rise 2)",
            ),
            (
                "phase: genesis",
                "formed: { clusterId: cdf818194e3a8c32 }",
                "etcd: the etcd cluster is cdf818194e3a8c32 and exists",
            ),
            (
                "phase: genesis",
                "recovery: { lostClusterId: cdf818194e3a8c32, from: m2, expiresAt: 2026-11-22T22:00:00Z }",
                "etcd: etcd cluster cdf818194e3a8c32 is given up; 'm2' carries its data over into a new one",
            ),
            (
                "hostname: m3",
                "hostname: m3b",
                "manifest: 'm3' is recognised by host name 'm3b' instead of host name 'm3'",
            ),
            ("environment: production", "environment: test", "manifest: the environment is test instead of production"),
        ];
        for (from, to, expected) in table {
            let told = told(from, to);
            assert!(told.iter().any(|line| line == expected), "{told:?}");
        }
        let last = EXAMPLE.lines().find(|line| line.contains("m3,")).unwrap();
        let first = EXAMPLE.lines().find(|line| line.contains("m1,")).unwrap();
        let swapped = EXAMPLE.replace(last, "LAST").replace(first, last).replace("LAST", first);
        assert_eq!(told(EXAMPLE, &swapped), ["vrrp: masters are preferred in the order m3, m2, m1"]);
    }
}
