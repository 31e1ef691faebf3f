use super::*;
use crate::manifest::parse;

/// Three masters, known by machine id, MAC address and host name.
fn manifest() -> Manifest {
    let text = include_str!("../../../spec/examples/three-masters.yaml");
    parse::parse("manifest.yaml", text.as_bytes()).unwrap().manifest
}

#[test]
fn a_host_is_the_one_master_whose_every_named_property_it_has() {
    let manifest = manifest();
    let table = [
        (HostFacts { machine_id: "0b7e5ac0ffee40d1a1b2c3d4e5f60718".parse().ok(), ..Default::default() }, "m1"),
        (HostFacts { macs: vec![Mac([2; 6]), Mac([0x52, 0x54, 0, 0, 0, 2])], ..Default::default() }, "m2"),
        (HostFacts { hostname: Some("M3".into()), ..Default::default() }, "m3"),
    ];
    for (facts, name) in table {
        assert_eq!(which(&manifest, &facts).unwrap().name.as_str(), name);
    }
}

/// Every property alone, all together, and each of them wrong in turn.
#[test]
fn each_property_alone_or_together_names_one_host() {
    const UUID: &str = "4c4c4544-0051-3510-8057-b4c04f4d3232";
    let machine_id = || "0b7e5ac0ffee40d1a1b2c3d4e5f60718".parse().ok();
    let mac = Mac([0x52, 0x54, 0, 0, 0, 9]);
    let here = HostFacts {
        machine_id: machine_id(),
        macs: vec![Mac([2; 6]), mac],
        hostname: Some("M9.example.net\n".into()),
        serial: Some(" cz3021xyz ".into()),
        uuid: Some(UUID.to_uppercase()),
    };
    let none = Identity::default();
    let full = Identity {
        machine_id: machine_id(),
        mac: Some(mac),
        hostname: Some("m9.example.net".into()),
        serial: Some("CZ3021XYZ".into()),
        uuid: Some(UUID.into()),
    };
    let alone = [
        Identity { machine_id: full.machine_id.clone(), ..none.clone() },
        Identity { mac: full.mac, ..none.clone() },
        Identity { hostname: full.hostname.clone(), ..none.clone() },
        Identity { serial: full.serial.clone(), ..none.clone() },
        Identity { uuid: full.uuid.clone(), ..none.clone() },
    ];
    let wrong = [
        Identity { machine_id: "1b7e5ac0ffee40d1a1b2c3d4e5f60718".parse().ok(), ..full.clone() },
        Identity { mac: Some(Mac([0x52, 0x54, 0, 0, 0, 8])), ..full.clone() },
        Identity { hostname: Some("m9".into()), ..full.clone() },
        Identity { serial: Some("CZ3021XY".into()), ..full.clone() },
        Identity { uuid: Some(UUID.replace("4c4c", "4c4d")), ..full.clone() },
    ];
    let is = |identity: &Identity, facts: &HostFacts| {
        let mut manifest = manifest();
        manifest.masters[2].identity = identity.clone();
        manifest.masters[0].identity = Identity { hostname: Some("other".into()), ..none.clone() };
        which(&manifest, facts).map(|me| me.name.to_string()).ok()
    };
    for identity in alone.iter().chain([&full]) {
        assert_eq!(is(identity, &here), Some("m3".into()), "{identity:?}");
        assert_eq!(is(identity, &HostFacts::default()), None, "what cannot be read matches nothing: {identity:?}");
    }
    for identity in wrong.iter().chain([&none]) {
        assert_eq!(is(identity, &here), None, "{identity:?}");
    }
}

#[test]
fn one_property_that_differs_is_another_host() {
    let mut manifest = manifest();
    manifest.masters[2].identity.serial = Some("CZ1".into());
    let facts = |serial: Option<&str>| HostFacts {
        hostname: Some("m3".into()),
        serial: serial.map(str::to_owned),
        ..Default::default()
    };
    assert!(which(&manifest, &facts(Some("CZ1"))).is_ok());
    assert!(which(&manifest, &facts(Some("CZ2"))).is_err());
    assert!(which(&manifest, &facts(None)).is_err(), "unknown is not a match");
}

#[test]
fn a_host_that_is_no_master_is_told_what_it_was_compared_by() {
    let facts = HostFacts { hostname: Some("spare".into()), macs: vec![Mac([2, 0, 0, 0, 0, 9])], ..Default::default() };
    assert_eq!(
        which(&manifest(), &facts).unwrap_err().to_string(),
        "this host is none of the masters of cluster 'prod-east': it has no machine id, host name 'spare', MAC address \
         '02:00:00:00:00:09'; correct 'identity' of the entry that is meant, or drop this manifest elsewhere"
    );
}

#[test]
fn a_host_that_is_two_masters_is_refused() {
    let facts =
        HostFacts { hostname: Some("m3".into()), macs: vec![Mac([0x52, 0x54, 0, 0, 0, 2])], ..Default::default() };
    assert_eq!(
        which(&manifest(), &facts).unwrap_err().to_string(),
        "this host matches several masters, 'm2' and 'm3'; make their 'identity' differ in a property that this host has"
    );
}

#[test]
fn texts_that_vendors_repeat_are_no_serial_numbers() {
    for text in [
        "",
        "0",
        "00000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "To Be Filled By O.E.M.",
        " None ",
        "N/A",
        "System Serial Number",
        "00020003-0004-0005-0006-000700080009",
    ] {
        assert!(is_placeholder(text), "{text:?}");
    }
    for text in ["CZ3021XYZ", "4c4c4544-0051-3510-8057-b4c04f4d3232", "VMware-56 4d"] {
        assert!(!is_placeholder(text), "{text:?}");
    }
}
