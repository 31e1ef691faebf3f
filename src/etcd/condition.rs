//! Whether a listed member is healthy: it answers as itself, follows the leader, has the same list, and raised no alarm. Pure.

use super::LocalStatus;
use super::alarm::Alarm;
use super::cluster::{Condition, Listed, View};
use std::collections::BTreeSet;

/// What a member says of itself and, if it votes, of the others.
pub(super) struct Answer {
    pub status: LocalStatus,
    pub members: Option<Vec<Listed>>,
}

pub(super) fn unhealthy(why: &str) -> Condition {
    Condition::Unhealthy { why: why.to_owned() }
}

/// How `listed` is, from what it said or why it said nothing.
pub(super) fn judge(view: &View, listed: &Listed, answer: &Result<Answer, String>) -> Condition {
    let seat = |listed: &Listed| (listed.id, listed.role, listed.peer_urls.clone());
    let seats = |members: &[Listed]| members.iter().map(seat).collect::<BTreeSet<_>>();
    match answer.as_ref().map(|answer| (&answer.status, &answer.members)) {
        Err(why) => unhealthy(why),
        Ok((status, _)) if (status.cluster, status.member) != (view.cluster, listed.id) => {
            unhealthy("another member answers in its place")
        }
        Ok((status, _)) if status.leader != Some(view.leader) => unhealthy("it follows no leader, or another one"),
        // Each member shows everybody's alarms.
        Ok((status, _)) if status.alarms.iter().any(|alarm| [0, listed.id].contains(&Alarm::read(alarm).member)) => {
            unhealthy(&status.alarms.join(", "))
        }
        // A member that was removed and is there again, or a voter that is a learner again (fault 18); and for a moment
        // one that has not applied the last change.
        Ok((_, Some(members))) if seats(members) != seats(&view.members) => unhealthy("its list has other members"),
        Ok(_) => Condition::Healthy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::etcd::cluster::Role;
    use std::collections::BTreeMap;

    fn listed(id: u64, role: Role) -> Listed {
        let peer_urls = vec![format!("https://10.0.0.{id}:2380")];
        Listed { id, name: format!("m{id}"), peer_urls, client_urls: Vec::new(), role }
    }

    #[test]
    fn fault_18_a_member_whose_list_has_a_zombie_or_a_reverted_learner_is_not_healthy() {
        let members = vec![listed(1, Role::Voter), listed(2, Role::Voter)];
        let from = "m1".parse().unwrap();
        let view = View {
            cluster: 1,
            members: members.clone(),
            leader: 1,
            genesis: None,
            generation: None,
            recovered: None,
            marks: BTreeMap::new(),
            from,
        };
        let status = LocalStatus {
            cluster: 1,
            member: 2,
            version: "3.5.30".into(),
            role: Role::Voter,
            leader: Some(1),
            term: 1,
            applied: 9,
            alarms: Vec::new(),
        };
        let judged = |members: Option<Vec<Listed>>| {
            judge(&view, &listed(2, Role::Voter), &Ok(Answer { status: status.clone(), members }))
        };
        assert_eq!(judged(Some(members.clone())), Condition::Healthy);
        assert_eq!(judged(None), Condition::Healthy, "a learner shows no list");
        let zombie = [members.clone(), vec![listed(3, Role::Voter)]].concat();
        let reverted = vec![listed(1, Role::Voter), listed(2, Role::Learner)];
        for list in [zombie, reverted, vec![listed(1, Role::Voter)]] {
            assert!(matches!(judged(Some(list)), Condition::Unhealthy { .. }));
        }
        let renamed = vec![listed(1, Role::Voter), Listed { name: "new".into(), ..listed(2, Role::Voter) }];
        assert_eq!(judged(Some(renamed)), Condition::Healthy, "names are compared where it counts whose it is");
    }
}
