//! `quorate diff`: what is said of a change, word for word. The expectations lie in `tests/diff`.

use super::{compare, here, quorate, transcript};
use std::fs;

/// A name, and what is replaced by what in the example with three masters.
type Case = (&'static str, &'static [(&'static str, &'static str)]);

const CASES: [Case; 15] = [
    ("nothing", &[]),
    ("replacement", &[("name: m3, address: 10.20.0.13", "name: m4, address: 10.20.0.14")]),
    ("moved", &[("10.20.0.13", "10.20.0.23")]),
    (
        "three-to-five",
        &[(
            "  vrrp:",
            "    - { name: m4, address: 10.20.0.14, identity: { hostname: m4 } }\n    - { name: m5, address: 10.20.0.15, \
             identity: { hostname: m5 } }\n  vrrp:",
        )],
    ),
    ("two-replacements", &[("10.20.0.12", "10.20.0.22"), ("10.20.0.13", "10.20.0.23")]),
    ("virtual-ip", &[("10.20.0.100", "10.20.0.200"), ("interface: eth0", "interface: bond0")]),
    ("virtual-router", &[("routerId: 51", "routerId: 52"), ("multicast", "unicast"), ("100ms", "1s")]),
    (
        "interface",
        &[(
            "machineId: 0b7e5ac0ffee40d1a1b2c3d4e5f60718 }",
            "machineId: 0b7e5ac0ffee40d1a1b2c3d4e5f60718 }, interface: bond0",
        )],
    ),
    ("migration", &[("    routerId", "    version: v2\n    routerId"), ("100ms", "1s")]),
    ("checksum", &[("    routerId", "    checksum: pseudo-header\n    routerId")]),
    (
        "preferences",
        &[
            ("preempt: false", "preempt: true\n    preemptDelay: 30s"),
            ("fall: 3", "fall: 5"),
            ("prod-east", "prod-west"),
        ],
    ),
    ("formed", &[("phase: genesis", "formed: { clusterId: cdf818194e3a8c32 }")]),
    (
        "paperwork",
        &[
            ("  issuedAt", "  minImageVersion: \"7\"\n  expiresAt: 2030-01-01T00:00:00Z\n  issuedAt"),
            ("environment: production", "environment: test"),
            ("hostname: m3", "hostname: m3b"),
        ],
    ),
    (
        "certificates",
        &[(
            "  etcd:",
            "  pki: { ca: \"sha256:0000000000000000000000000000000000000000000000000000000000000001\" }\n  etcd:",
        )],
    ),
    ("another-cluster", &[("3f0c6a52", "00000000")]),
];

#[test]
fn each_change_is_told_in_words_in_order_and_with_its_risk() {
    let example = fs::read_to_string(here("spec/examples/three-masters.yaml")).unwrap();
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("old.yaml"), &example).unwrap();
    let mut faults = Vec::new();
    for (name, changes) in CASES {
        let mut new = example.replace("generation: 1", "generation: 2");
        for (from, to) in changes {
            assert!(new.contains(from), "{name}: '{from}'");
            new = new.replace(from, to);
        }
        fs::write(place.path().join("new.yaml"), &new).unwrap();
        let output = quorate(place.path(), &["diff", "old.yaml", "new.yaml"]);
        faults.extend(compare(&here("tests/diff").join(name).with_extension("expected"), &transcript(&output)));
        // Programs get the same, and the same verdict.
        let json = quorate(place.path(), &["diff", "old.yaml", "new.yaml", "--json"]);
        assert_eq!(json.status.code(), output.status.code(), "{name}");
        let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        for effect in report["effects"].as_array().unwrap() {
            for key in ["what", "then"] {
                assert!(text.contains(effect[key].as_str().unwrap()), "{name}: {effect}");
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
