use super::*;
use proptest::prelude::*;

/// The manifest of design, from which each test departs in one place.
pub(crate) const VALID: &str = include_str!("../../../spec/examples/three-masters.yaml");

fn parsed(text: &str) -> Parsed {
    parse("manifest.yaml", text.as_bytes()).unwrap_or_else(|findings| panic!("{findings}"))
}

#[test]
fn the_example_says_what_it_means() {
    let manifest = parsed(VALID).manifest;
    assert_eq!(manifest.name.as_str(), "prod-east");
    assert_eq!(manifest.generation, Generation(1));
    assert_eq!(manifest.digest, Digest::of(VALID.as_bytes()));
    assert_eq!(manifest.environment, Environment::Production);
    assert_eq!(manifest.vip.addresses, ["10.20.0.100".parse::<std::net::IpAddr>().unwrap()]);
    assert_eq!(manifest.masters.len(), 3);
    assert_eq!(manifest.masters[1].identity.mac, "52:54:00:00:00:02".parse().ok());
    assert_eq!(manifest.vrrp.router_id.octet(), 51);
    assert_eq!(manifest.vrrp.advertise_interval_cs, 10);
    assert_eq!(manifest.etcd, EtcdPhase::Genesis);
    assert_eq!(manifest.health[0].target, ProbeTarget::Https("https://127.0.0.1:6443/livez".into()));
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let without = |from: &str, to: &str| {
        let start = VALID.find(from).unwrap();
        let end = VALID[start..].find(to).map_or(VALID.len(), |at| start + at);
        format!("{}{}", &VALID[..start], &VALID[end..])
    };
    let manifest = parsed(&without("  vrrp:", "  etcd:")).manifest;
    assert_eq!(manifest.vrrp.advertise_interval_cs, ADVERTISE_INTERVAL_CS);
    assert_eq!(manifest.vrrp.transport, Transport::Multicast);
    assert!(!manifest.vrrp.preempt);
    assert_eq!(manifest.vrrp.router_id, derived_router_id(&manifest.cluster_id));
    assert!(manifest.health.is_empty());
}

#[test]
fn a_fault_in_the_text_ends_reading_and_everything_else_is_reported_at_once() {
    let findings = parse("m", b"a: [1").unwrap_err();
    assert_eq!(findings.list().len(), 1);
    let text = VALID.replace("generation: 1", "generation: 0").replace("routerId: 51", "routerId: 256");
    let findings = parse("m", text.as_bytes()).unwrap_err();
    let rules: Vec<&str> = findings.list().iter().map(|finding| finding.rule).collect();
    assert_eq!(rules, ["out-of-bounds", "out-of-bounds"]);
}

proptest! {
    /// Whatever the bytes: no panic, and a refusal always says why.
    #[test]
    fn arbitrary_bytes_are_refused_with_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Err(findings) = parse("m", &bytes) {
            prop_assert!(matches!(findings.heaviest(), Some(Weight::Invalid | Weight::Unsafe)));
            let _ = findings.render(crate::yaml::finding::Look::Plain);
        }
    }

    /// The same for manifests with damage in one place, which reach much further into the checks.
    #[test]
    fn a_damaged_manifest_is_read_or_refused_with_a_reason(
        at in 0..VALID.len(), length in 0usize..40, with in "[ -~\n]{0,20}"
    ) {
        let end = (at + length).min(VALID.len());
        prop_assume!(VALID.is_char_boundary(at) && VALID.is_char_boundary(end));
        let text = format!("{}{with}{}", &VALID[..at], &VALID[end..]);
        match parse("m", text.as_bytes()) {
            Ok(parsed) => prop_assert!(parsed.warnings.list().iter().all(|one| one.weight == Weight::Warning)),
            Err(findings) => {
                prop_assert!(matches!(findings.heaviest(), Some(Weight::Invalid | Weight::Unsafe)), "{findings}");
                let _ = findings.render(crate::yaml::finding::Look::Plain);
                let _ = findings.to_json();
            }
        }
    }
}
