use super::*;
use crate::manifest::parse::parse;

const EXAMPLE: &str = include_str!("../../../spec/examples/three-masters.yaml");

fn told(from: &str, to: &str) -> Vec<String> {
    let manifest =
        |text: &str| parse("manifest.yaml", text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}")).manifest;
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
        ("100ms", "1s", "vrrp: advertisements come every 1s instead of 100ms"),
        (
            "preempt: false",
            "preempt: true",
            "vrrp: a preferred master that comes back takes the virtual IP from a working one",
        ),
        ("interface: eth0", "interface: eth1", "vrrp: every master carries the virtual IP on 'eth1' instead of 'eth0'"),
        ("10.20.0.100", "10.20.0.200", "vrrp: the virtual IP is 10.20.0.200 instead of 10.20.0.100"),
        (
            "fall: 3",
            "fall: 5",
            "vrrp: the health of a master is judged by https://127.0.0.1:6443/livez every 1s (fall 5, rise 2)",
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
        ("hostname: m3", "hostname: m3b", "manifest: 'm3' is recognised by host name 'm3b' instead of host name 'm3'"),
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
