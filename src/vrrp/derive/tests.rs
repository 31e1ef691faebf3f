use super::*;
use crate::vrrp::config::Config;

#[test]
fn t8_an_ipv6_vip_gets_a_link_local_address_in_front() {
    let addresses = |given: &[&str]| -> Vec<String> {
        let given: Vec<IpAddr> = given.iter().map(|address| address.parse().unwrap()).collect();
        with_link_local(&given, 51).iter().map(ToString::to_string).collect()
    };
    assert_eq!(addresses(&["10.9.0.100"]), ["10.9.0.100"]);
    assert_eq!(addresses(&["2001:db8::100"]), ["fe80::70:33", "2001:db8::100"]);
    assert_eq!(addresses(&["2001:db8::100", "10.9.0.100"]), ["10.9.0.100", "fe80::70:33", "2001:db8::100"]);
    assert_eq!(addresses(&["2001:db8::100", "fe80::1"]), ["fe80::1", "2001:db8::100"]);
}

#[test]
fn priorities_fall_with_the_order_and_unhealthy_ones_below_all_healthy_ones() {
    let manifest = sample(&["10.9.0.11", "10.9.0.12", "10.9.0.13"], manifest::Transport::Multicast);
    let routers: Vec<Router> =
        manifest.masters.iter().map(|master| Config::for_master(&manifest, master, "eth0").routers.remove(0)).collect();
    let numbers: Vec<_> =
        routers.iter().map(|router| (router.priority, router.unhealthy_priority, router.healthy_from)).collect();
    assert_eq!(numbers, [(254, 238, 252), (253, 237, 252), (252, 236, 252)]);
}

#[test]
fn what_a_migration_needs_is_taken_from_the_manifest() {
    let mut manifest = sample(&["10.9.0.11", "10.9.0.12"], manifest::Transport::Multicast);
    manifest.vrrp.checksum = VrrpChecksum::PseudoHeader;
    manifest.vrrp.version = VrrpVersion::V2;
    manifest.vrrp.preempt = true;
    manifest.vrrp.preempt_delay = std::time::Duration::from_secs(30);
    let router = Config::for_master(&manifest, &manifest.masters[0], "eth0").routers.remove(0);
    let taken = (router.checksum, router.version, router.preempt);
    assert_eq!(taken, (ChecksumForm::PseudoHeader, Version::V2, Preempt::AfterMs(30_000)));
}

#[test]
fn unicast_peers_are_the_other_masters() {
    let manifest = sample(&["10.9.0.11", "10.9.0.12", "10.9.0.13"], manifest::Transport::Unicast);
    let config = Config::for_master(&manifest, &manifest.masters[1], "eth0");
    let peers = vec!["10.9.0.11".parse().unwrap(), "10.9.0.13".parse().unwrap()];
    assert_eq!(config.routers[0].transport, Transport::Unicast { peers });
}

#[test]
fn every_derived_configuration_is_valid_and_reads_back() {
    for transport in [manifest::Transport::Multicast, manifest::Transport::Unicast] {
        for masters in [1, 3, 5, 7] {
            let addresses: Vec<String> = (0..masters).map(|host| format!("10.9.0.{}", 11 + host)).collect();
            let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
            let manifest = sample(&addresses, transport);
            if masters == 1 && transport == manifest::Transport::Unicast {
                continue;
            }
            for master in &manifest.masters {
                let config = Config::for_master(&manifest, master, "eth0");
                assert_eq!(Config::parse(&config.render()).unwrap(), config);
            }
        }
    }
}

/// A manifest of a dual-stack VIP for masters at these addresses.
fn sample(masters: &[&str], transport: manifest::Transport) -> Manifest {
    let masters = masters.iter().enumerate().map(|(at, address)| Master {
        name: format!("m{}", at + 1).parse().unwrap(),
        address: address.parse().unwrap(),
        identity: manifest::Identity::default(),
        interface: None,
    });
    Manifest {
        name: "prod-east".parse().unwrap(),
        cluster_id: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
        generation: crate::ident::Generation(1),
        digest: crate::ident::Digest::of(b""),
        issued_at: jiff::Timestamp::UNIX_EPOCH,
        expires_at: None,
        supersedes: None,
        min_image_version: None,
        environment: manifest::Environment::Test,
        vip: manifest::Vip {
            addresses: vec!["10.9.0.100".parse().unwrap(), "2001:db8::100".parse().unwrap()],
            interface: "eth0".parse().unwrap(),
        },
        masters: masters.collect(),
        vrrp: manifest::Vrrp {
            router_id: crate::ident::Vrid::try_from(51).unwrap(),
            advertise_interval_cs: 10,
            transport,
            preempt: false,
            preempt_delay: std::time::Duration::ZERO,
            version: VrrpVersion::V3,
            checksum: VrrpChecksum::MessageOnly,
        },
        health: vec![manifest::Probe {
            target: ProbeTarget::Tcp("127.0.0.1:2379".into()),
            interval: std::time::Duration::from_secs(1),
            fall: 3,
            rise: 2,
        }],
        etcd: manifest::EtcdPhase::Genesis,
        acknowledged: Default::default(),
        ca: None,
    }
}
