//! What `quorate-etcd.service` gets for one start: its environment and its key material.
//!
//! Rendered anew for every start, under /run (M10): what etcd needs to begin a membership (`new` or `existing`,
//! token, initial members) is there for that one start and is taken out again once a write-ahead log
//! exists. A unit that systemd restarts over a data directory that vanished then finds `existing` without
//! peers, which etcd refuses, instead of an old `new`, which it would obey (E2).

use super::genesis::Round;
use super::material::Material;
use super::{Places, client_url, peer_url};
use crate::file::{Owner, RenderedFile};
use crate::ident::NodeName;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// Where kubeadm has etcd answer health probes, too.
const METRICS_PORT: u16 = 2381;

/// How a member begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// From its data directory; nothing else counts (E14).
    Existing,
    /// As one of the first members.
    New(Round),
    /// As the newest member of a cluster, whose members by name are these, itself included.
    Join(Vec<(String, String)>),
}

/// The environment file for one start of `me` at `address`.
pub fn environment(me: &NodeName, address: IpAddr, places: &Places, start: &Start) -> RenderedFile {
    let run = |name: &str| places.run.join(name).display().to_string();
    let mut clients = client_url(address);
    if !address.is_loopback() {
        // What runs on this host reaches its own member without knowing the host's address.
        clients = format!("{clients},{}", client_url(IpAddr::from([127, 0, 0, 1])));
    }
    // For health probes, which hold no certificate: /health and /metrics only, and on this host alone.
    let own = if address.is_loopback() { address } else { IpAddr::from([127, 0, 0, 1]) };
    let mut variables = BTreeMap::from([
        ("ETCD_NAME", me.to_string()),
        ("ETCD_DATA_DIR", places.data.display().to_string()),
        ("ETCD_LISTEN_PEER_URLS", peer_url(address)),
        ("ETCD_LISTEN_CLIENT_URLS", clients),
        ("ETCD_LISTEN_METRICS_URLS", format!("http://{}", SocketAddr::new(own, METRICS_PORT))),
        ("ETCD_ADVERTISE_CLIENT_URLS", client_url(address)),
        ("ETCD_INITIAL_ADVERTISE_PEER_URLS", peer_url(address)),
        ("ETCD_CERT_FILE", run("node.crt")),
        ("ETCD_KEY_FILE", run("node.key")),
        ("ETCD_TRUSTED_CA_FILE", run("ca.crt")),
        ("ETCD_CLIENT_CERT_AUTH", "true".into()),
        ("ETCD_PEER_CERT_FILE", run("node.crt")),
        ("ETCD_PEER_KEY_FILE", run("node.key")),
        ("ETCD_PEER_TRUSTED_CA_FILE", run("ca.crt")),
        ("ETCD_PEER_CLIENT_CERT_AUTH", "true".into()),
        // The defaults of 3.5, named so that 3.4 does the same: a member that comes back disturbs no leader.
        ("ETCD_PRE_VOTE", "true".into()),
        ("ETCD_STRICT_RECONFIG_CHECK", "true".into()),
        ("ETCD_LOGGER", "zap".into()),
        ("ETCD_LOG_OUTPUTS", "stderr".into()),
    ]);
    match start {
        Start::Existing => {
            variables.insert("ETCD_INITIAL_CLUSTER_STATE", "existing".into());
        }
        Start::New(round) => {
            variables.insert("ETCD_INITIAL_CLUSTER_STATE", "new".into());
            variables.insert("ETCD_INITIAL_CLUSTER_TOKEN", round.token());
            let members: Vec<_> =
                round.members.iter().map(|(name, address)| format!("{name}={}", peer_url(*address))).collect();
            variables.insert("ETCD_INITIAL_CLUSTER", members.join(","));
        }
        Start::Join(members) => {
            variables.insert("ETCD_INITIAL_CLUSTER_STATE", "existing".into());
            let members: Vec<_> = members.iter().map(|(name, url)| format!("{name}={url}")).collect();
            variables.insert("ETCD_INITIAL_CLUSTER", members.join(","));
        }
    }
    let text: String = variables.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
    RenderedFile { path: places.run.join("environment"), mode: 0o600, owner: Owner::Etcd, content: text.into_bytes() }
}

/// The key material as the unit reads it: its user is not root, so it gets copies of its own.
pub fn key_files(places: &Places, material: &Material) -> [RenderedFile; 3] {
    let file = |name: &str, content: &[u8]| RenderedFile {
        path: places.run.join(name),
        mode: 0o600,
        owner: Owner::Etcd,
        content: content.to_vec(),
    };
    [file("node.key", material.key()), file("node.crt", material.certificate()), file("ca.crt", material.ca())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(address: &str, start: &Start) -> String {
        let places = Places { run: "/run/quorate/etcd".into(), data: "/var/lib/etcd".into() };
        let file = environment(&"m1".parse().unwrap(), address.parse().unwrap(), &places, start);
        String::from_utf8(file.content).unwrap()
    }

    fn round() -> Round {
        Round {
            cluster: "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(),
            members: [("m1", "10.0.0.1"), ("m2", "10.0.0.2")]
                .map(|(name, address)| (name.parse().unwrap(), address.parse().unwrap()))
                .into(),
            nonce: super::super::genesis::Nonce::of([7; 16]),
        }
    }

    #[test]
    fn only_genesis_says_new_and_its_token_comes_from_the_nonce() {
        let new = text("10.0.0.1", &Start::New(round()));
        assert!(new.contains("ETCD_INITIAL_CLUSTER_STATE=new\n"));
        assert!(new.contains(&format!("ETCD_INITIAL_CLUSTER_TOKEN={}\n", round().token())));
        assert!(new.contains("ETCD_INITIAL_CLUSTER=m1=https://10.0.0.1:2380,m2=https://10.0.0.2:2380\n"));
        for start in [Start::Existing, Start::Join(vec![("m1".into(), "https://10.0.0.1:2380".into())])] {
            let other = text("10.0.0.1", &start);
            assert!(other.contains("ETCD_INITIAL_CLUSTER_STATE=existing\n"), "{other}");
            assert!(!other.contains("TOKEN"), "{other}");
        }
        assert!(!text("10.0.0.1", &Start::Existing).contains("ETCD_INITIAL_CLUSTER="));
    }

    #[test]
    fn another_nonce_is_another_token() {
        let other = Round { nonce: super::super::genesis::Nonce::of([8; 16]), ..round() };
        assert_ne!(round().token(), other.token());
    }

    #[test]
    fn it_listens_on_its_own_address_and_on_loopback_once() {
        assert!(
            text("10.0.0.1", &Start::Existing)
                .contains("ETCD_LISTEN_CLIENT_URLS=https://10.0.0.1:2379,https://127.0.0.1:2379\n")
        );
        assert!(text("127.0.0.11", &Start::Existing).contains("ETCD_LISTEN_CLIENT_URLS=https://127.0.0.11:2379\n"));
        assert!(text("fd00::1", &Start::Existing).contains("ETCD_LISTEN_PEER_URLS=https://[fd00::1]:2380\n"));
        // What needs no certificate is on loopback only.
        for (address, metrics) in [("10.0.0.1", "127.0.0.1"), ("127.0.0.11", "127.0.0.11"), ("fd00::1", "127.0.0.1")] {
            let line = format!("ETCD_LISTEN_METRICS_URLS=http://{metrics}:2381\n");
            assert!(text(address, &Start::Existing).contains(&line), "{address}");
        }
    }
}
