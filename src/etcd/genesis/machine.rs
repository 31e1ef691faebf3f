//! The decisions of genesis, without I/O: what a master does next, and how it answers a peer.
//!
//! All state is in the markers. A master polls every other one, hands what it heard to [`next`], carries out
//! the answer and polls again; killed anywhere, it goes on from its marker. [`Move::Persist`] is an output
//! that the driver makes durable before anything else is decided or answered.
//!
//! Why no two tokens can come to life: a round is committed by its leader only when all masters attested, in one
//! poll, the same manifest, no data and `prepared` for that very round; the others commit only what the leader
//! committed. A commitment is final, and a running cluster needs a quorum of committed masters, of which any
//! two share one. A wiped master holds no marker, and no marker beside a committed one never becomes `new`.

use super::{Attestation, Held, Marker, Nonce, Round};
use crate::etcd::{DataDirectory, Desired};
use crate::ident::{Digest, Generation, NodeName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What came back from asking one master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It attested.
    Attested(Box<Attestation>),
    /// It did not answer, or not in a way that proves who it is. It may hold anything.
    Silent {
        /// The error, as text.
        why: String,
    },
}

/// What this master does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Move {
    /// Make this marker durable, then look again.
    Persist(Marker),
    /// Ask these masters to prepare, then look again.
    Ask {
        /// The round that this master holds as prepared.
        round: Round,
        /// Those that do not attest it yet.
        to: Vec<NodeName>,
    },
    /// Look again after a pause.
    Wait {
        /// Who is waited for, and why.
        on: BTreeMap<NodeName, String>,
    },
    /// Genesis is over for this master: its marker allows the start, or a later stage was reached.
    Done,
    /// It cannot go on as things stand; an administrator has to act.
    Refuse {
        /// Which fact stands in the way.
        why: String,
    },
}

/// The request of the leading master to note a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Prepare {
    /// The generation that the leader runs.
    pub generation: Generation,
    /// The manifest that the leader runs.
    pub digest: Digest,
    /// The round.
    pub round: Round,
}

/// What becomes of a [`Prepare`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Make this marker durable, then acknowledge.
    Persist(Marker),
    /// It is noted already: acknowledge.
    Held,
    /// Refuse, with the reason.
    Refuse(String),
}

/// The master that leads: the lowest name, so that all agree on it without asking.
pub fn leader(desired: &Desired) -> &NodeName {
    desired.members.keys().next().unwrap_or(&desired.me)
}

/// What this master does next, given what it holds, what it heard, and a nonce that nobody has used.
pub fn next(desired: &Desired, own: &Attestation, heard: &BTreeMap<NodeName, Heard>, fresh: Nonce) -> Move {
    let mine = match &own.held {
        Held::Unknown { why } => {
            return Move::Refuse { why: format!("the marker of this master is unreadable: {why}") };
        }
        Held::Marker(Marker::Prepared { round }) if round.fits(&desired.cluster, &desired.members) => Some(round),
        // Another set of masters, never committed here: the next round replaces it.
        Held::Marker(Marker::Prepared { .. }) | Held::Nothing => None,
        Held::Marker(_) => return Move::Done,
    };
    if let Some(obstacle) = data_obstacle(&own.data) {
        return Move::Refuse { why: format!("the data directory of this master {obstacle}") };
    }

    let attested = || {
        heard.values().filter_map(|heard| match heard {
            Heard::Attested(attestation) => Some(attestation.as_ref()),
            Heard::Silent { .. } => None,
        })
    };
    if let Some(round) = mine
        && attested().any(|peer| committed_round(&peer.held) == Some(round))
    {
        return Move::Persist(Marker::Committed { round: round.clone() });
    }

    let mut on = BTreeMap::new();
    let mut rounds: Vec<&Round> = mine.into_iter().collect();
    for name in desired.members.keys().filter(|name| **name != desired.me) {
        match heard.get(name) {
            None => drop(on.insert(name.clone(), "not asked yet".to_owned())),
            Some(Heard::Silent { why }) => drop(on.insert(name.clone(), why.clone())),
            Some(Heard::Attested(peer)) => match consents(desired, own, peer) {
                Ok(Some(round)) if !rounds.contains(&round) => rounds.push(round),
                Ok(_) => {}
                Err(obstacle) => drop(on.insert(name.clone(), obstacle)),
            },
        }
    }
    if !on.is_empty() {
        return Move::Wait { on };
    }
    let round = match rounds.as_slice() {
        [] => Round { cluster: desired.cluster.clone(), members: desired.members.clone(), nonce: fresh },
        [one] => (*one).clone(),
        _ => {
            let nonces: Vec<_> = rounds.iter().map(|round| round.nonce.to_string()).collect();
            return Move::Refuse {
                why: format!("the masters are prepared for different rounds: {}", nonces.join(", ")),
            };
        }
    };
    let leader = leader(desired);
    if *leader != desired.me {
        return Move::Wait { on: BTreeMap::from([(leader.clone(), "it leads the first formation".to_owned())]) };
    }
    if mine != Some(&round) {
        return Move::Persist(Marker::Prepared { round });
    }
    let to: Vec<_> = attested()
        .filter(|peer| peer.held != Held::Marker(Marker::Prepared { round: round.clone() }))
        .map(|peer| peer.node.clone())
        .collect();
    match to.as_slice() {
        [] => Move::Persist(Marker::Committed { round }),
        _ => Move::Ask { round, to },
    }
}

/// How this master answers a request to prepare from `from`, whose name its certificate proved.
pub fn prepare(desired: &Desired, own: &Attestation, from: &NodeName, request: &Prepare) -> Answer {
    let refuse = |why: &str| Answer::Refuse(why.to_owned());
    if from != leader(desired) {
        return refuse("only the lowest-named master leads the first formation");
    }
    if (request.generation, request.digest) != (desired.generation, desired.digest) {
        return refuse("this master runs another manifest");
    }
    if !request.round.fits(&desired.cluster, &desired.members) {
        return refuse("the round is not for the masters of this manifest");
    }
    if let Some(obstacle) = data_obstacle(&own.data) {
        return Answer::Refuse(format!("the data directory {obstacle}"));
    }
    match &own.held {
        Held::Marker(Marker::Prepared { round }) if *round == request.round => Answer::Held,
        Held::Marker(Marker::Prepared { round }) if round.fits(&desired.cluster, &desired.members) => {
            refuse("this master is prepared for another round")
        }
        Held::Nothing | Held::Marker(Marker::Prepared { .. }) => {
            Answer::Persist(Marker::Prepared { round: request.round.clone() })
        }
        Held::Marker(marker) => Answer::Refuse(format!("this master is {marker}")),
        Held::Unknown { why } => Answer::Refuse(format!("the marker of this master is unreadable: {why}")),
    }
}

/// Whether a peer's attestation agrees to forming the cluster: the round it is prepared for, if any, or what is in the way.
fn consents<'a>(desired: &Desired, own: &Attestation, peer: &'a Attestation) -> Result<Option<&'a Round>, String> {
    if peer.cluster != desired.cluster {
        return Err(format!("it belongs to cluster {}", peer.cluster));
    }
    if peer.generation != desired.generation {
        return Err(format!("it runs generation {}, this master {}", peer.generation, desired.generation));
    }
    if peer.digest != desired.digest {
        return Err(format!("it runs manifest {} under the same generation", peer.digest.short()));
    }
    if let Some(obstacle) = data_obstacle(&peer.data) {
        return Err(format!("its data directory {obstacle}"));
    }
    let skew_s = peer.clock_s.abs_diff(own.clock_s);
    if skew_s > MOST_SKEW_S {
        return Err(format!("its clock and this master's differ by {skew_s} s"));
    }
    match &peer.held {
        Held::Nothing => Ok(None),
        Held::Marker(Marker::Prepared { round }) if round.fits(&desired.cluster, &desired.members) => Ok(Some(round)),
        Held::Marker(Marker::Prepared { .. }) => Ok(None),
        // Without this master's consent nobody commits, so its own marker was lost: it joins, it never forms.
        Held::Marker(marker) => Err(format!("it is {marker}; this master joins once that cluster answers")),
        Held::Unknown { why } => Err(format!("its marker is unreadable: {why}")),
    }
}

fn committed_round(held: &Held) -> Option<&Round> {
    match held {
        Held::Marker(Marker::Committed { round } | Marker::Executed { round, .. }) => Some(round),
        _ => None,
    }
}

fn data_obstacle(data: &DataDirectory) -> Option<String> {
    match data {
        DataDirectory::Absent | DataDirectory::Empty => None,
        DataDirectory::HasWal => Some("holds data".to_owned()),
        DataDirectory::Foreign { found } => Some(format!("holds '{found}'")),
        DataDirectory::Unknown { why } => Some(format!("is unknown: {why}")),
    }
}

/// Leases and certificates are measured by clocks; a formed cluster would suffer from what is easily awaited now.
const MOST_SKEW_S: u64 = 60;

#[cfg(test)]
mod tests;
