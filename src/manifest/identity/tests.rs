use super::*;
use crate::manifest::parse;

/// Three masters, known by machine id, MAC address and host name.
fn manifest() -> Manifest {
    let text = include_str!("../../../spec/examples/three-masters.yaml");
    parse::parse("manifest.yaml", text.as_bytes()).unwrap().manifest
}

/// What a test knows of its host.
fn known<T>(value: T) -> Fact<T> {
    Fact::Known(value)
}

#[test]
fn a_host_is_the_one_master_whose_every_named_property_it_has() {
    let manifest = manifest();
    let table = [
        (
            HostFacts { machine_id: known("0b7e5ac0ffee40d1a1b2c3d4e5f60718".parse().unwrap()), ..Default::default() },
            "m1",
        ),
        (HostFacts { macs: known(vec![Mac([2; 6]), Mac([0x52, 0x54, 0, 0, 0, 2])]), ..Default::default() }, "m2"),
        (HostFacts { hostname: known("M3".into()), ..Default::default() }, "m3"),
    ];
    for (facts, name) in table {
        assert_eq!(which(&manifest, &facts).unwrap().name.as_str(), name);
    }
}

/// Every property alone, all together, and each of them wrong in turn.
#[test]
fn each_property_alone_or_together_names_one_host() {
    const UUID: &str = "4c4c4544-0051-3510-8057-b4c04f4d3232";
    let machine_id = || "0b7e5ac0ffee40d1a1b2c3d4e5f60718".parse().unwrap();
    let mac = Mac([0x52, 0x54, 0, 0, 0, 9]);
    let here = HostFacts {
        machine_id: known(machine_id()),
        macs: known(vec![Mac([2; 6]), mac]),
        hostname: known("M9.example.net\n".into()),
        serial: known(" cz3021xyz ".into()),
        uuid: known(UUID.to_uppercase()),
    };
    let none = Identity::default();
    let full = Identity {
        machine_id: Some(machine_id()),
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
        assert_eq!(is(identity, &HostFacts::default()), None, "what it has not matches nothing: {identity:?}");
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
        hostname: known("m3".into()),
        serial: serial.map_or(Fact::Absent, |serial| known(serial.to_owned())),
        ..Default::default()
    };
    assert!(which(&manifest, &facts(Some("CZ1"))).is_ok());
    assert!(which(&manifest, &facts(Some("CZ2"))).is_err());
    assert!(which(&manifest, &facts(None)).is_err(), "a host without one is another host, too");
}

#[test]
fn a_host_that_is_no_master_is_told_what_it_was_compared_by() {
    let facts =
        HostFacts { hostname: known("spare".into()), macs: known(vec![Mac([2, 0, 0, 0, 0, 9])]), ..Default::default() };
    assert_eq!(
        which(&manifest(), &facts).unwrap_err().to_string(),
        "this host is none of the masters of cluster 'prod-east': it has no machine id, host name 'spare', MAC address \
         '02:00:00:00:00:09'; correct 'identity' of the entry that is meant, or drop this manifest elsewhere"
    );
}

#[test]
fn a_host_that_is_two_masters_is_refused() {
    let facts = HostFacts {
        hostname: known("m3".into()),
        macs: known(vec![Mac([0x52, 0x54, 0, 0, 0, 2])]),
        ..Default::default()
    };
    assert_eq!(
        which(&manifest(), &facts).unwrap_err().to_string(),
        "this host matches several masters, 'm2' and 'm3'; make their 'identity' differ in a property that this host has"
    );
}

/// The first two entries are told apart by serial, the third by host name, too. What decides is whether any entry still
/// depends on what cannot be read.
#[test]
fn what_cannot_be_read_decides_nothing_and_hides_nothing() {
    fn unread<T>() -> Fact<T> {
        Fact::Unknown { why: "'/sys/class/dmi/id/product_serial': Permission denied".into() }
    }
    let mut manifest = manifest();
    let serial = |serial: &str| Identity { serial: Some(serial.into()), ..Identity::default() };
    manifest.masters[0].identity = serial("CZ1");
    manifest.masters[1].identity = Identity { mac: Some(Mac([2; 6])), ..serial("CZ2") };
    manifest.masters[2].identity.serial = Some("CZ3".into());
    let (mine, strange) = (|| known(vec![Mac([2; 6])]), || known(vec![Mac([3; 6])]));
    let (m3, other) = (|| known("m3".to_owned()), || known("spare".to_owned()));
    let table = [
        ("everything is known", known("CZ2".to_owned()), mine(), m3(), Ok("m2")),
        ("it has none", Fact::Absent, mine(), m3(), Err("none")),
        ("nothing rules an entry out", unread(), mine(), m3(), Err("m1 m2 m3")),
        ("what is known rules entries out", unread(), strange(), other(), Err("m1")),
        ("two properties are unknown", unread(), unread(), other(), Err("m1 m2")),
        ("what is unknown matters to no entry", known("CZ1".to_owned()), unread(), m3(), Ok("m1")),
    ];
    for (what, serial, macs, hostname, expected) in table {
        let facts = HostFacts { serial, macs, hostname, ..HostFacts::default() };
        let found = match which(&manifest, &facts) {
            Ok(master) => Ok(master.name.to_string()),
            Err(IdentityError::None { .. }) => Err("none".into()),
            Err(IdentityError::Several(_)) => Err("several".into()),
            Err(IdentityError::Unknown { masters, .. }) => {
                Err(masters.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" "))
            }
        };
        assert_eq!(found, expected.map(String::from).map_err(String::from), "{what}");
    }
    // An entry that matches beside one that might is not taken: the host could be both.
    manifest.masters[2].identity.serial = None;
    let facts = HostFacts { serial: unread(), hostname: m3(), ..HostFacts::default() };
    assert_eq!(
        which(&manifest, &facts).unwrap_err().to_string(),
        "whether this host is 'm1' of cluster 'prod-east' cannot be told: its serial cannot be read \
         ('/sys/class/dmi/id/product_serial': Permission denied); make that readable, or let 'identity' name something else"
    );
    manifest.masters[0].identity =
        Identity { machine_id: "0b7e5ac0ffee40d1a1b2c3d4e5f60718".parse().ok(), ..serial("CZ1") };
    assert_eq!(which(&manifest, &facts).unwrap().name.as_str(), "m3", "it is known to be none of the others");
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
