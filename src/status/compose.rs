//! From what a run knows to the status document. Pure: the time is an argument, nothing is asked of anybody.

#[cfg(test)]
mod tests;

use super::{
    Activity, Certificate, CertificateStatus, EtcdStatus, FailedStep, Health, ManifestStatus, MasterStatus, MemberRole,
    Phase, ProbeStatus, RefusedDrop, SCHEMA, Status, Transition, VipStatus, Volume, VrrpCounters, VrrpRole, Warning,
};
use crate::etcd::cluster::Role;
use crate::etcd::summary::{self, Leading, MemberSummary, Quorum, Summary};
use crate::ident::NodeName;
use crate::manifest::{Manifest, Master, Probe, ProbeTarget};
use crate::network;
use crate::pki::Installed;
use crate::plan::{Blocked, Part};
use crate::quorum;
use crate::status::notice::Notice;
use crate::vrrp::machine::State as RouterPhase;
use crate::vrrp::state::{self, ObservedState, RouterState};
use std::net::IpAddr;

/// What a run knows when it writes the document.
#[derive(Debug)]
pub struct Known<'a> {
    /// When it was observed.
    pub at: jiff::Timestamp,
    /// How far the run is.
    pub phase: Phase,
    /// Drops that were refused.
    pub refused_drops: &'a [RefusedDrop],
    /// Sources that do not answer now, in words.
    pub awaited: &'a [String],
    /// The manifest in force and this host's place in it.
    pub cluster: Option<Cluster<'a>>,
    /// Where that manifest was found.
    pub origin: Option<&'a str>,
    /// What is being carried out right now.
    pub activity: Option<Activity>,
    /// What the last plan still wants to do, in words.
    pub pending: Vec<String>,
    /// What is not done, and why.
    pub blocked: Vec<Blocked>,
    /// Steps that failed.
    pub failed: Vec<FailedStep>,
}

/// The manifest in force, and what was seen of it.
#[derive(Debug, Clone, Copy)]
pub struct Cluster<'a> {
    /// The manifest.
    pub manifest: &'a Manifest,
    /// This host, when it is one of the masters.
    pub me: Option<&'a Master>,
    /// What was seen; nothing before the first look.
    pub seen: Option<Seen<'a>>,
}

/// The parts of an observation that the document shows.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// Key and certificates in force.
    pub pki: &'a Installed,
    /// The kernel's links.
    pub network: &'a network::Observed,
    /// The VRRP daemon's own document.
    pub vrrp: &'a ObservedState,
    /// The etcd cluster.
    pub etcd: &'a Summary,
    /// The file systems that are written to.
    pub storage: &'a [Volume],
}

/// The document.
pub fn compose(known: Known<'_>) -> Status {
    let manifest = known.cluster.map(|cluster| cluster.manifest);
    let seen = known.cluster.and_then(|cluster| cluster.seen);
    let router = seen.and_then(|seen| router(seen.vrrp));
    let active = manifest.zip(router).and_then(|(manifest, router)| active(manifest, router));
    let me = known.cluster.and_then(|cluster| cluster.me);
    Status {
        schema: SCHEMA.to_owned(),
        at: known.at,
        phase: known.phase,
        host: me.map(|me| me.name.clone()),
        manifest: manifest.map(|manifest| ManifestStatus {
            cluster: manifest.name.clone(),
            cluster_id: manifest.cluster_id.clone(),
            generation: manifest.generation,
            digest: manifest.digest,
            origin: known.origin.map(str::to_owned),
        }),
        refused_drops: known.refused_drops.to_vec(),
        vip: manifest.map(|manifest| VipStatus {
            addresses: manifest.vip.addresses.clone(),
            link: me.zip(seen).and_then(|(me, seen)| link(manifest, me, seen.network)),
            active: active.cloned(),
            transitions: router.map_or_else(Vec::new, transitions),
            transitions_total: router.map(|router| router.transitions),
            counters: seen.and_then(|seen| counters(seen.vrrp)),
        }),
        masters: manifest.map_or_else(Vec::new, |manifest| {
            let line = |master: &Master| {
                let here = me.is_some_and(|me| me.name == master.name);
                line(master, here, active, router, seen.map(|seen| seen.etcd))
            };
            manifest.masters.iter().map(line).collect()
        }),
        etcd: etcd(seen.map(|seen| seen.etcd)),
        activity: known.activity,
        certificates: seen.map_or_else(Vec::new, |seen| certificates(seen.pki)),
        probes: manifest.map_or_else(Vec::new, |manifest| probes(manifest, seen.map(|seen| seen.vrrp))),
        storage: seen.map_or_else(Vec::new, |seen| seen.storage.to_vec()),
        warnings: {
            let seen = seen.into_iter().flat_map(|seen| warnings(seen.etcd).chain(fence(seen.vrrp)));
            known.awaited.iter().map(|awaited| away(awaited)).chain(seen).collect()
        },
        pending: known.pending,
        blocked: known.blocked,
        failed: known.failed,
    }
}

fn transitions(router: &RouterState) -> Vec<Transition> {
    let moved = |moved: &state::Transition| Transition {
        at: moved.at,
        from: role(moved.from),
        to: role(moved.to),
        why: moved.why.text().to_owned(),
    };
    router.recent.iter().map(moved).collect()
}

/// The daemon names the probes that fail, each as `target: complaint`; about the others it is content.
fn probes(manifest: &Manifest, state: Option<&ObservedState>) -> Vec<ProbeStatus> {
    let failing = match state {
        Some(ObservedState::Present(state)) => Some(&state.unhealthy),
        Some(ObservedState::Absent | ObservedState::Unknown { .. }) | None => None,
    };
    let seen = |probe: &Probe| {
        let target = match &probe.target {
            ProbeTarget::Tcp(address) => format!("tcp://{address}"),
            ProbeTarget::Http(url) | ProbeTarget::Https(url) => url.clone(),
        };
        let complaint = failing.and_then(|failing| {
            failing.iter().find_map(|complaint| complaint.strip_prefix(&target)?.strip_prefix(": "))
        });
        let health = match (failing, complaint) {
            (None, _) => Health::Unknown,
            (Some(_), Some(_)) => Health::Unhealthy,
            (Some(_), None) => Health::Healthy,
        };
        ProbeStatus { health, why: complaint.map(str::to_owned), target }
    };
    manifest.health.iter().map(seen).collect()
}

fn counters(state: &ObservedState) -> Option<VrrpCounters> {
    let ObservedState::Present(state) = state else { return None };
    let counted = &state.routers.first()?.counters;
    Some(VrrpCounters {
        received: counted.received,
        sent: counted.sent,
        send_failures: counted.send_failures,
        late: counted.late,
        fence_refreshes: state.fence_refreshes,
        discards: counted.discards.clone(),
    })
}

fn certificates(installed: &Installed) -> Vec<CertificateStatus> {
    let Installed::Present(bundle) = installed else { return Vec::new() };
    [(Certificate::Node, bundle.validity()), (Certificate::ClusterCa, bundle.authority_validity())]
        .into_iter()
        .filter_map(|(certificate, validity)| {
            Some(CertificateStatus { certificate, not_after: validity.ok()?.not_after })
        })
        .collect()
}

fn warnings(etcd: &Summary) -> impl Iterator<Item = Warning> {
    etcd.advice.iter().map(|advice| {
        let (what, remedy) = advice.split_once(": ").unwrap_or((advice, "see spec/operations.md"));
        Warning { part: Part::Etcd, what: what.to_owned(), remedy: remedy.to_owned() }
    })
}

/// A source that does not answer: a newer generation would not be noticed.
fn away(awaited: &str) -> Warning {
    Warning {
        part: Part::Manifest,
        what: format!("a source does not answer: {awaited}"),
        remedy:
            "it is asked again every few minutes ('systemctl start quorate-fetch' asks now); what is in force stays"
                .into(),
    }
}

/// What is missing for the VIP to be let go of within milliseconds when the daemon freezes.
fn fence(state: &ObservedState) -> Option<Warning> {
    let ObservedState::Present(state) = state else { return None };
    let problem = state.fence_problem.as_ref()?;
    Some(Warning {
        part: Part::Vrrp,
        what: format!("a frozen daemon would hold the VIP until its address lifetime ends: {problem}"),
        remedy: "'journalctl -u quorate-vrrpd' names what is missing (nftables in the image, usually); the VIP works \
                 without it"
            .into(),
    })
}

fn router(state: &ObservedState) -> Option<&RouterState> {
    match state {
        ObservedState::Present(state) => state.routers.first(),
        ObservedState::Absent | ObservedState::Unknown { .. } => None,
    }
}

fn link(manifest: &Manifest, me: &Master, observed: &network::Observed) -> Option<String> {
    network::plan::carrier(&network::Desired::new(manifest, me), observed).ok().map(|link| link.name.clone())
}

/// The master whose address the Active's advertisements come from. Over IPv6 they come from a link-local address
/// that the manifest does not know; then only this host's own role is known.
fn active<'a>(manifest: &'a Manifest, router: &RouterState) -> Option<&'a NodeName> {
    let address: IpAddr = router.active?;
    manifest.masters.iter().find(|master| master.address == address).map(|master| &master.name)
}

fn line(
    master: &Master,
    here: bool,
    active: Option<&NodeName>,
    router: Option<&RouterState>,
    etcd: Option<&Summary>,
) -> MasterStatus {
    let member = etcd.and_then(|etcd| etcd.members.iter().find(|member| member.name == master.name.as_str()));
    let told = etcd.and_then(|etcd| etcd.notices.get(&master.name));
    let notice: Option<Notice> = told.and_then(|text| serde_json::from_slice(text).ok());
    // A notice outlives its master by its lease: of one that does not answer it says nothing any more.
    let answers = member.is_some_and(|member| member.health == summary::Health::Healthy);
    let told_role = notice.filter(|_| answers).map(|notice| notice.vrrp);
    MasterStatus {
        name: master.name.clone(),
        address: master.address,
        vrrp: vrrp_role(master, here, active, router, told_role),
        member: member_role(member, etcd),
        health: match member.map(|member| member.health) {
            Some(summary::Health::Healthy) => Health::Healthy,
            Some(summary::Health::Leaderless | summary::Health::Unreachable) => Health::Unhealthy,
            None => Health::Unknown,
        },
        generation: notice.map(|notice| notice.generation),
    }
}

fn vrrp_role(
    master: &Master,
    here: bool,
    active: Option<&NodeName>,
    router: Option<&RouterState>,
    told: Option<VrrpRole>,
) -> VrrpRole {
    match router.filter(|_| here).map(|router| router.state) {
        Some(state) => role(state),
        None if active == Some(&master.name) => VrrpRole::Active,
        // It told before another one took over.
        None if told == Some(VrrpRole::Active) && active.is_some() => VrrpRole::Backup,
        // A Backup is silent by protocol: without its notice a waiting one and a dead one look the same.
        None => told.unwrap_or(VrrpRole::Unknown),
    }
}

fn role(state: RouterPhase) -> VrrpRole {
    match state {
        RouterPhase::Active => VrrpRole::Active,
        RouterPhase::Backup => VrrpRole::Backup,
        RouterPhase::Initialize => VrrpRole::Initialize,
    }
}

fn member_role(member: Option<&MemberSummary>, etcd: Option<&Summary>) -> MemberRole {
    let Some(member) = member else { return MemberRole::Unknown };
    match (member.leader, member.role, &member.id) {
        (Leading::Leader, _, _) => MemberRole::Leader,
        (_, Some(Role::Voter), _) => MemberRole::Voter,
        (_, Some(Role::Learner), _) => MemberRole::Learner,
        // Only a list that was read with quorum can say that somebody is not on it.
        (_, None, None) if etcd.is_some_and(|etcd| etcd.quorum == Quorum::Held) => MemberRole::Absent,
        (_, None, _) => MemberRole::Unknown,
    }
}

fn etcd(summary: Option<&Summary>) -> EtcdStatus {
    let Some(summary) = summary else { return EtcdStatus::Unknown { why: "not looked at yet".into() } };
    match summary.quorum {
        Quorum::Held => {
            let voters = summary.members.iter().filter(|member| member.role == Some(Role::Voter));
            let healthy = voters.clone().filter(|member| member.health == summary::Health::Healthy).count();
            let voters = voters.count();
            EtcdStatus::Quorate {
                cluster_id: summary.cluster.clone().unwrap_or_default(),
                voters,
                healthy,
                may_lose: healthy.saturating_sub(quorum::quorum(voters)),
            }
        }
        Quorum::Lost => {
            EtcdStatus::NoQuorum { why: "a cluster exists, and no member here could read with quorum".into() }
        }
        Quorum::Unformed => EtcdStatus::Unformed,
        Quorum::Unknown => EtcdStatus::Unknown { why: "not every master answered, and none shows a cluster".into() },
    }
}
