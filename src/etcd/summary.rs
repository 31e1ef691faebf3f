//! What `quorate status` says about etcd: members, roles, health, quorum.

use super::alarm::Alarm;
use super::cluster::{Evidence, Role, evidence};
use super::genesis::{Held, Marker};
use super::{DataDirectory, Desired, LocalStatus, Observed, peer_url, version};
use crate::ident::NodeName;
use crate::manifest::EtcdPhase;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whether the cluster can decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quorum {
    /// A linearizable read succeeded.
    Held,
    /// A cluster shows itself and no such read succeeded.
    Lost,
    /// There is no cluster yet.
    Unformed,
    /// Nobody shows a cluster, and not everybody answered.
    Unknown,
}

/// How one member answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// It answers and knows a leader.
    Healthy,
    /// It answers and knows none.
    Leaderless,
    /// It does not answer this master.
    Unreachable,
}

/// One line of the cluster table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemberSummary {
    /// Name, or the peer URL of a member that has never started.
    pub name: String,
    /// Member id in hexadecimal, when listed.
    pub id: Option<String>,
    /// Voter or learner, when listed.
    pub role: Option<Role>,
    /// How it answers.
    pub health: Health,
    /// Whether it leads.
    pub leader: Leading,
    /// Its version, when it answers.
    pub version: Option<String>,
}

/// Whether a member leads the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Leading {
    /// It is the leader.
    Leader,
    /// It follows.
    Follower,
}

/// The etcd part of the status document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// The etcd cluster id in hexadecimal, once known.
    pub cluster: Option<String>,
    /// Whether the cluster can decide.
    pub quorum: Quorum,
    /// Every listed member and every master of the manifest.
    pub members: Vec<MemberSummary>,
    /// What the administrator should do some time soon.
    pub advice: Vec<String>,
    /// What each master last told the others, as it wrote it.
    #[serde(skip)]
    pub notices: BTreeMap<NodeName, Vec<u8>>,
}

/// What the members said when they were asked.
#[derive(Debug, Default)]
pub struct Answers {
    /// Each one's own status, by the name of its master.
    pub members: BTreeMap<NodeName, LocalStatus>,
    /// How many milliseconds the others' clocks are ahead of this master's.
    pub skew_ms: BTreeMap<NodeName, i64>,
    /// The notices that one of them had.
    pub notices: BTreeMap<NodeName, Vec<u8>>,
}

/// From here on clocks are named: what etcd itself warns of. Certificates are issued an hour back, first formation allows a
/// minute; but logs of two masters do not line up any more.
const SKEW_LIMIT_MS: i64 = 1000;

fn skewed(name: &NodeName, skew_ms: i64) -> Option<String> {
    let (seconds, thousandths) = (skew_ms.abs() / 1000, skew_ms.abs() % 1000);
    let side = if skew_ms > 0 { "ahead of" } else { "behind" };
    (skew_ms.abs() > SKEW_LIMIT_MS).then(|| {
        format!(
            "the clock of {name} is {seconds}.{thousandths:03} s {side} this master's: set both by NTP ('timedatectl')"
        )
    })
}

/// Joins what was observed with what each member said of itself.
pub fn summarise(desired: &Desired, seen: &Observed, answers: &Answers) -> Summary {
    let (cluster, quorum) = match evidence(seen.view.as_ref(), &seen.peers) {
        Evidence::Quorum(view) => (Some(view.cluster), Quorum::Held),
        Evidence::NoQuorum { cluster } => (Some(cluster), Quorum::Lost),
        // Nobody shows a cluster, and this master has the data of one: it exists. As long as a member knows a leader,
        // etcd is only starting here.
        Evidence::Forming | Evidence::None | Evidence::Unknown if own_cluster(seen).is_some() => {
            let led = answers.members.values().any(|answer| answer.leader.is_some());
            (own_cluster(seen), if led { Quorum::Unknown } else { Quorum::Lost })
        }
        Evidence::Forming | Evidence::None => (None, Quorum::Unformed),
        Evidence::Unknown => (None, Quorum::Unknown),
    };
    let leader = seen.view.as_ref().map(|view| view.leader);
    let line = |name: String, id: Option<u64>, role: Option<Role>, answer: Option<&LocalStatus>| MemberSummary {
        name,
        id: id.map(|id| format!("{id:x}")),
        role: role.or(answer.map(|answer| answer.role)),
        health: match answer {
            Some(answer) if answer.leader.is_some() => Health::Healthy,
            Some(_) => Health::Leaderless,
            None => Health::Unreachable,
        },
        leader: if id.is_some() && id == leader { Leading::Leader } else { Leading::Follower },
        version: answer.map(|answer| answer.version.clone()),
    };
    let listed = seen.view.as_ref().map_or(&[][..], |view| &view.members);
    let mut members: Vec<_> = desired
        .members
        .iter()
        .map(|(name, address)| {
            let url = peer_url(*address);
            let entry = listed.iter().find(|entry| entry.peer_urls.contains(&url));
            line(
                name.to_string(),
                entry.map(|entry| entry.id),
                entry.map(|entry| entry.role),
                answers.members.get(name),
            )
        })
        .collect();
    let urls: Vec<_> = desired.members.values().map(|address| peer_url(*address)).collect();
    for entry in listed.iter().filter(|entry| !entry.peer_urls.iter().any(|url| urls.contains(url))) {
        let name = if entry.name.is_empty() { entry.peer_urls.join(",") } else { entry.name.clone() };
        members.push(line(format!("{name} (not in the manifest)"), Some(entry.id), Some(entry.role), None));
    }
    let mut advice = Vec::new();
    if let (EtcdPhase::Genesis, Quorum::Held, Some(cluster)) = (&desired.phase, quorum, cluster) {
        advice.push(format!(
            "seal the manifest: write 'etcd: {{ formed: {{ clusterId: {cluster:016x} }} }}' in the next generation, so that \
             this cluster is never formed again"
        ));
    }
    if let (EtcdPhase::Recovery(order), Quorum::Held, Some(view)) = (&desired.phase, quorum, &seen.view)
        && view.recovered.as_ref().is_some_and(|recovered| recovered.given_up.contains(&order.lost))
    {
        advice.push(format!(
            "the recovery is done: write 'etcd: {{ formed: {{ clusterId: \"{:016x}\", follows: \"{:016x}\" }} }}' in \
             place of 'recovery' in the next generation",
            view.cluster, order.lost
        ));
    }
    let alarms = answers.members.values().flat_map(|answer| &answer.alarms).collect::<BTreeSet<_>>();
    advice.extend(alarms.into_iter().map(|alarm| {
        let (what, remedy) = Alarm::read(alarm).in_words(seen.view.as_ref());
        format!("{what}: {remedy}")
    }));
    advice.extend(answers.skew_ms.iter().filter_map(|(name, skew_ms)| skewed(name, *skew_ms)));
    let old = answers.members.iter().filter_map(|(name, answer)| Some((name, version::advice(&answer.version)?)));
    advice.extend(old.map(|(name, what)| format!("{name} {what}")));
    let notices = answers.notices.clone();
    Summary { cluster: cluster.map(|cluster| format!("{cluster:016x}")), quorum, members, advice, notices }
}

/// The etcd cluster whose data this master has, as its marker says.
fn own_cluster(seen: &Observed) -> Option<u64> {
    match (&seen.data, &seen.held) {
        (DataDirectory::HasWal, Held::Marker(Marker::Formed { etcd, .. })) => Some(*etcd),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::cluster::PeerSeen;
    use crate::etcd::plan::tests::{ETCD, answers, desired, formed, fresh, name};
    use crate::etcd::{Local, plan::tests::healthy};

    #[test]
    fn a_survivor_beside_reinstalled_masters_knows_that_its_cluster_lost_the_quorum() {
        let peers: BTreeMap<_, _> = [1, 2].map(|number| (name(number), PeerSeen::NotListening)).into();
        let survivor = Observed { view: None, peers: peers.clone(), ..healthy() };
        let told = |seen: &Observed, answers: &Answers| {
            let summary = summarise(&desired(), seen, answers);
            (summary.cluster, summary.quorum)
        };
        let id = Some(format!("{ETCD:016x}"));
        assert_eq!(told(&survivor, &Answers::default()), (id.clone(), Quorum::Lost));
        let Local::Answers(other) = answers(Role::Voter) else { panic!() };
        let led = Answers { members: [(name(1), other)].into(), ..Answers::default() };
        assert_eq!(told(&survivor, &led), (id, Quorum::Unknown), "it is only starting here");
        let wiped = Observed { held: formed(), peers, ..fresh() };
        assert_eq!(told(&wiped, &Answers::default()), (None, Quorum::Unformed), "it has no data to show for it");
    }

    #[test]
    fn clocks_that_differ_by_more_than_a_second_are_named() {
        let name: NodeName = "m2".parse().unwrap();
        for near in [0, 1, -1000, 1000] {
            assert_eq!(skewed(&name, near), None, "{near}");
        }
        assert!(skewed(&name, 4207).unwrap().starts_with("the clock of m2 is 4.207 s ahead of this master's: "));
        assert!(skewed(&name, -1001).unwrap().starts_with("the clock of m2 is 1.001 s behind this master's: "));
    }
}
