//! What is known of the cluster beyond this host, in words: a member list, how it was read, and what peers showed.
//!
//! A list that a peer port shows ([`PeerSeen::Members`]) is evidence that a cluster exists and may be stale;
//! only a [`View`], read behind a linearizable read on the same endpoint, is a ground for changing anything (M2).

use super::genesis::Nonce;
use super::recovery::Recovered;
use crate::ident::{Generation, NodeName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether a member votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It counts for the quorum.
    Voter,
    /// It receives the log and does not vote yet.
    Learner,
}

/// One entry of a member list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The member id.
    pub id: u64,
    /// Its name; empty for a member that was added and never started.
    pub name: String,
    /// Where its peers reach it.
    pub peer_urls: Vec<String>,
    /// Where its clients reach it; empty until it has run once. A static member has a name before it ever ran
    /// (E15), so this is the test for "has run".
    pub client_urls: Vec<String>,
    /// Whether it votes.
    pub role: Role,
}

impl Listed {
    /// Whether it has ever run.
    pub fn has_run(&self) -> bool {
        !self.client_urls.is_empty()
    }
}

/// How a listed member answered at its own endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Condition {
    /// It answers as that member of that cluster, follows the same leader, and has no alarm.
    Healthy,
    /// It does not.
    Unhealthy {
        /// What it lacks.
        why: String,
    },
}

/// What the peer port of another master showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PeerSeen {
    /// The host answers, and nothing listens there.
    NotListening,
    /// A member shows its list; possibly stale.
    Members {
        /// The etcd cluster id.
        cluster: u64,
        /// Its list.
        members: Vec<Listed>,
    },
    /// No answer, or none that proves who it is. It may hold anything.
    Silent {
        /// The error, as text.
        why: String,
    },
}

/// A member list behind a quorum read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The etcd cluster id.
    pub cluster: u64,
    /// All members, voters and learners.
    pub members: Vec<Listed>,
    /// The leader's member id.
    pub leader: u64,
    /// The genesis that the cluster came from, as recorded in it.
    pub genesis: Option<Nonce>,
    /// The newest manifest by which the member list was changed, as recorded in it.
    pub generation: Option<Generation>,
    /// The recovery that the cluster came out of, as recorded in it.
    pub recovered: Option<Recovered>,
    /// Which master gave it.
    pub from: NodeName,
}

impl View {
    /// The entry of that member id.
    pub fn member(&self, id: u64) -> Option<&Listed> {
        self.members.iter().find(|listed| listed.id == id)
    }
}

/// What the peers' ports and a quorum read say together about whether a cluster exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence<'a> {
    /// It exists and its member list was read with quorum.
    Quorum(&'a View),
    /// Somebody shows a cluster that has run, and no quorum read succeeded.
    NoQuorum {
        /// The etcd cluster id shown.
        cluster: u64,
    },
    /// Members are up whose cluster has not run yet.
    Forming,
    /// Every other master answered, and none of them runs etcd.
    None,
    /// Nobody shows a cluster, and not everybody answered.
    Unknown,
}

/// Reads the evidence.
pub fn evidence<'a>(view: Option<&'a View>, peers: &BTreeMap<NodeName, PeerSeen>) -> Evidence<'a> {
    if let Some(view) = view {
        return Evidence::Quorum(view);
    }
    let mut forming = Evidence::None;
    for seen in peers.values() {
        match seen {
            PeerSeen::Members { cluster, members } if members.iter().any(Listed::has_run) => {
                return Evidence::NoQuorum { cluster: *cluster };
            }
            PeerSeen::Members { .. } => forming = Evidence::Forming,
            PeerSeen::Silent { .. } if forming == Evidence::None => forming = Evidence::Unknown,
            PeerSeen::Silent { .. } | PeerSeen::NotListening => {}
        }
    }
    forming
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(client_urls: &[&str]) -> Listed {
        Listed {
            id: 1,
            name: "m1".into(),
            peer_urls: vec!["https://10.0.0.1:2380".into()],
            client_urls: client_urls.iter().map(|url| (*url).to_owned()).collect(),
            role: Role::Voter,
        }
    }

    #[test]
    fn a_silent_peer_makes_the_absence_of_a_cluster_unknown() {
        let name = |text: &str| text.parse::<NodeName>().unwrap();
        let silent = || PeerSeen::Silent { why: "timed out".into() };
        let members = |urls| PeerSeen::Members { cluster: 7, members: vec![listed(urls)] };
        let table = [
            (PeerSeen::NotListening, PeerSeen::NotListening, Evidence::None),
            (PeerSeen::NotListening, silent(), Evidence::Unknown),
            (silent(), PeerSeen::NotListening, Evidence::Unknown),
            (silent(), members(&[]), Evidence::Forming),
            (members(&[]), silent(), Evidence::Forming),
            (silent(), members(&["https://10.0.0.1:2379"]), Evidence::NoQuorum { cluster: 7 }),
            (members(&[]), members(&["https://10.0.0.1:2379"]), Evidence::NoQuorum { cluster: 7 }),
        ];
        for (first, second, expected) in table {
            let peers = BTreeMap::from([(name("m2"), first), (name("m3"), second)]);
            assert_eq!(evidence(None, &peers), expected, "{peers:?}");
        }
    }
}
