//! What is wrong in the cluster, as seen from this host: quorum, VIP, the other masters.

use super::{Finding, Verdict};
use crate::plan::Part;
use crate::quorum;
use crate::status::{EtcdStatus, Health, MemberRole, Status, VrrpRole};

pub(super) fn etcd(status: &Status) -> Option<Finding> {
    let finding = |verdict, what: &str, why: &str, remedy: String| {
        Some(Finding { verdict, part: Some(Part::Etcd), what: what.into(), why: why.into(), remedy })
    };
    match &status.etcd {
        EtcdStatus::Unformed | EtcdStatus::Quorate { .. } => None,
        EtcdStatus::NoQuorum { why } => {
            let all = status.masters.len();
            finding(
                Verdict::Down,
                "etcd has no quorum",
                &format!("{why}; without it the API server can neither write nor read consistently"),
                format!(
                    "bring masters back until {} of {all} run etcd; nothing is lost meanwhile. \
                     Beyond repair: 'quorate help recovery'",
                    quorum::quorum(all)
                ),
            )
        }
        // Without a manifest that names this host there is nothing to look at from here.
        EtcdStatus::Unknown { .. } if status.host.is_none() => None,
        EtcdStatus::Unknown { .. } if is_told(status) => None,
        EtcdStatus::Unknown { why } => finding(
            Verdict::Degraded,
            "the state of etcd is not known from here",
            why,
            "'quorate status' on another master; here 'systemctl status quorate-etcd'".into(),
        ),
    }
}

/// Whether the run under way, or its plan, already says what etcd waits for.
fn is_told(status: &Status) -> bool {
    status.activity.is_some() || status.blocked.iter().any(|blocked| blocked.part == Part::Etcd)
}

pub(super) fn vip(status: &Status) -> Option<Finding> {
    let vip = status.vip.as_ref()?;
    if vip.active.is_some() {
        return None;
    }
    let host = status.host.as_ref()?;
    let here = status.masters.iter().find(|master| master.name == *host);
    let planned = status.blocked.iter().any(|blocked| matches!(blocked.part, Part::Network | Part::Vrrp));
    let (verdict, what, why) = match here.map(|master| master.vrrp) {
        Some(VrrpRole::Initialize) => (
            Verdict::Degraded,
            "this master cannot take part in the virtual router",
            "its link or its address is missing; another master may well be active",
        ),
        Some(VrrpRole::Active | VrrpRole::Backup) => {
            (Verdict::Down, "nobody is known to answer for the VIP", "no advertisement was heard")
        }
        // The plan says why the daemon is not there.
        Some(VrrpRole::Unknown) | None if planned => return None,
        Some(VrrpRole::Unknown) | None => (
            Verdict::Degraded,
            "who answers for the VIP is not known from here",
            "the VRRP daemon of this host says nothing",
        ),
    };
    Some(Finding {
        verdict,
        part: Some(Part::Vrrp),
        what: what.into(),
        why: why.into(),
        remedy: "'systemctl status quorate-vrrpd' here; between masters IP protocol 112 has to pass".into(),
    })
}

pub(super) fn masters(status: &Status, found: &mut Vec<Finding>) {
    let answering_is_due = match &status.etcd {
        // There is no member yet that could answer; the plan names the masters it waits for.
        EtcdStatus::Unformed => false,
        EtcdStatus::Unknown { .. } => !is_told(status),
        EtcdStatus::Quorate { .. } | EtcdStatus::NoQuorum { .. } => true,
    };
    if !answering_is_due {
        return;
    }
    for master in &status.masters {
        let name = &master.name;
        let here = Some(name) == status.host.as_ref();
        let (verdict, what, why, remedy) = match (master.member, master.health) {
            (MemberRole::Learner, Health::Healthy) => (
                Verdict::Converging,
                format!("{name} is catching up"),
                "it receives the log as a learner and has no vote yet".to_owned(),
                "it has caught up; then it is made a voter by itself".to_owned(),
            ),
            (MemberRole::Absent, _) => (
                Verdict::Degraded,
                format!("{name} is not a member of etcd"),
                "the member list, read with quorum, does not have it".to_owned(),
                format!(
                    "{name} joins by itself once it runs with this manifest: 'quorate status' there says what it waits for"
                ),
            ),
            (_, Health::Unhealthy) if here => (
                Verdict::Degraded,
                "the etcd member of this host does not answer".to_owned(),
                "it was asked at its own endpoint".to_owned(),
                "'systemctl status quorate-etcd', then 'journalctl -u quorate-etcd -n 50'".to_owned(),
            ),
            (_, Health::Unhealthy) => (
                Verdict::Degraded,
                format!("{name} does not answer"),
                format!("its etcd member was asked at {}", master.address),
                format!(
                    "look after {name} (power, network, 'quorate status' there); it rejoins by itself. \
                     Gone for good: 'quorate help recovery'"
                ),
            ),
            _ => continue,
        };
        found.push(Finding { verdict, part: Some(Part::Etcd), what, why, remedy });
    }
}

/// Masters that last told of another generation than the one in force here.
pub(super) fn generations(status: &Status, found: &mut Vec<Finding>) {
    let Some(here) = status.manifest.as_ref().map(|manifest| manifest.generation) else { return };
    for master in &status.masters {
        let Some(theirs) = master.generation.filter(|theirs| *theirs != here) else { continue };
        let remedy = if theirs < here {
            format!("the manifest of generation {here} is dropped on {} as well", master.name)
        } else {
            format!("the manifest of generation {theirs} is dropped here as well")
        };
        found.push(Finding {
            verdict: Verdict::Waiting,
            part: Some(Part::Manifest),
            what: format!("{} runs generation {theirs}, this master {here}", master.name),
            why: "each master tells the others at the end of a run; a change takes a while to reach all".into(),
            remedy,
        });
    }
}

pub(super) fn reserve(status: &Status) -> Option<Finding> {
    let EtcdStatus::Quorate { voters, healthy, may_lose: 0, .. } = &status.etcd else { return None };
    let learner = status.masters.iter().any(|master| master.member == MemberRole::Learner);
    let (verdict, remedy) = match status.masters.len() {
        // A cluster that was made with one or two masters never had a reserve (environment: test).
        0..=2 => (Verdict::Fine, "use three masters where it matters: 'quorate help tolerance'"),
        // Growing passes through even counts; the next vote ends it.
        _ if learner => (Verdict::Converging, "the learner has its vote"),
        _ => (Verdict::Degraded, "bring the missing masters back before any maintenance on the others"),
    };
    Some(Finding {
        verdict,
        part: Some(Part::Etcd),
        what: "no further master may be lost".into(),
        why: format!("{healthy} of {voters} voters answer, and that many have to agree"),
        remedy: remedy.into(),
    })
}

pub(super) fn probes(status: &Status, found: &mut Vec<Finding>) {
    found.extend(status.probes.iter().filter(|probe| probe.health == Health::Unhealthy).map(|probe| Finding {
        verdict: Verdict::Degraded,
        part: Some(Part::Vrrp),
        what: format!("the probe of {} fails", probe.target),
        why: probe.why.clone().unwrap_or_else(|| "no reason was recorded".into()),
        remedy: "repair what it asks; until then another master is preferred for the VIP".into(),
    }));
}
