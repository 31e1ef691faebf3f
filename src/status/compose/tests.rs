use super::*;
use crate::etcd::summary::{Leading, MemberSummary};
use crate::manifest::parse::parse;
use crate::status::findings::{Verdict, findings, verdict};
use crate::vrrp::config::Fence;
use crate::vrrp::counters::Counted;
use crate::vrrp::machine::Reason;
use crate::vrrp::state::State;
use std::collections::BTreeMap;

const AT: i64 = 1_795_377_600;

fn at(second: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(AT + second).unwrap()
}

fn manifest() -> Manifest {
    let text = include_bytes!("../../../spec/examples/three-masters.yaml");
    parse("three-masters.yaml", text).unwrap().manifest
}

fn member(name: &str, role: Option<Role>, leader: Leading, health: summary::Health) -> MemberSummary {
    MemberSummary { name: name.into(), id: None, role, health, leader, version: None }
}

fn voters() -> Summary {
    let voter = |name, leader| member(name, Some(Role::Voter), leader, summary::Health::Healthy);
    Summary {
        cluster: Some("cdf818194e3a8c32".into()),
        quorum: Quorum::Held,
        members: vec![voter("m1", Leading::Leader), voter("m2", Leading::Follower), voter("m3", Leading::Follower)],
        advice: Vec::new(),
        notices: BTreeMap::new(),
    }
}

/// What the daemon of m1 says while m1 is active.
fn active() -> State {
    let moved = |second, from, to, why| state::Transition { at: at(second), from, to, why };
    State {
        config_digest: crate::ident::Digest::of(b""),
        updated: at(0),
        fence: Fence::Lease,
        fence_problem: None,
        fence_refreshes: 0,
        unhealthy: Vec::new(),
        routers: vec![RouterState {
            vrid: 51.try_into().unwrap(),
            link: "eth0".into(),
            state: RouterPhase::Active,
            since: at(-10),
            why: Some(Reason::Silence),
            obstacle: None,
            priority: 254,
            active: Some("10.20.0.11".parse().unwrap()),
            transitions: 2,
            recent: vec![
                moved(-14, RouterPhase::Initialize, RouterPhase::Backup, Reason::Started),
                moved(-10, RouterPhase::Backup, RouterPhase::Active, Reason::Silence),
            ],
            addresses: Vec::new(),
            counters: Counted::default(),
        }],
        unassigned: Counted::default(),
    }
}

fn composed(phase: Phase, state: &ObservedState, etcd: &Summary) -> Status {
    composed_with(phase, state, etcd, &[])
}

fn composed_with(phase: Phase, state: &ObservedState, etcd: &Summary, awaited: &[String]) -> Status {
    let manifest = manifest();
    let links = network::Observed::Unknown { why: "not asked".into() };
    let seen = Seen { pki: &Installed::Absent, network: &links, vrrp: state, etcd, storage: &[] };
    let me = manifest.masters.first();
    let known = Known {
        at: at(0),
        phase,
        refused_drops: &[],
        awaited,
        cluster: Some(Cluster { manifest: &manifest, me, seen: Some(seen) }),
        origin: Some("volume /dev/disk/by-label/QUORATE"),
        activity: None,
        pending: Vec::new(),
        blocked: Vec::new(),
        failed: Vec::new(),
    };
    compose(known)
}

fn present(state: State) -> ObservedState {
    ObservedState::Present(Box::new(state))
}

#[test]
fn the_origin_is_told_and_a_source_that_is_away_is_a_note() {
    let awaited = ["kernel command line, https://host/m.yaml: it is away".to_owned()];
    let status = composed_with(Phase::Converged, &present(active()), &voters(), &awaited);
    assert_eq!(status.manifest.as_ref().unwrap().origin.as_deref(), Some("volume /dev/disk/by-label/QUORATE"));
    let told: Vec<_> = findings(&status, at(1)).into_iter().map(|finding| (finding.verdict, finding.what)).collect();
    let what = "a source does not answer: kernel command line, https://host/m.yaml: it is away";
    assert_eq!(told, [(Verdict::Fine, what.to_owned())]);
    assert_eq!(verdict(&status, at(1)), Verdict::Fine);
}

#[test]
fn a_whole_cluster_is_fine_and_says_so() {
    let status = composed(Phase::Converged, &present(active()), &voters());
    assert_eq!(findings(&status, at(1)), []);
    assert_eq!(verdict(&status, at(1)), Verdict::Fine);
    let vip = status.vip.unwrap();
    assert_eq!(vip.active, Some("m1".parse().unwrap()));
    let moved: Vec<_> = vip.transitions.iter().map(|moved| (moved.to, moved.why.as_str())).collect();
    let silence = "nothing was heard for a whole down interval";
    assert_eq!(moved, [(VrrpRole::Backup, "the link and its addresses are there"), (VrrpRole::Active, silence)]);
}

#[test]
fn a_failing_probe_is_named_with_its_complaint_and_a_silent_daemon_says_nothing_of_it() {
    let target = "https://127.0.0.1:6443/livez";
    let mut state = active();
    let healthy = composed(Phase::Converged, &present(state.clone()), &voters());
    state.unhealthy = vec![format!("{target}: connection refused")];
    let failing = composed(Phase::Converged, &present(state), &voters());
    let unheard = composed(Phase::Converged, &ObservedState::Absent, &voters());
    let seen = |status: &Status| status.probes.iter().map(|probe| (probe.health, probe.why.clone())).next();
    assert_eq!(seen(&healthy), Some((Health::Healthy, None)));
    assert_eq!(seen(&failing), Some((Health::Unhealthy, Some("connection refused".into()))));
    assert_eq!(seen(&unheard), Some((Health::Unknown, None)));
    assert_eq!(failing.probes.first().map(|probe| probe.target.as_str()), Some(target));
}

#[test]
fn a_master_that_waits_for_the_first_formation_is_not_degraded() {
    let silent = |name| member(name, None, Leading::Follower, summary::Health::Unreachable);
    let etcd = Summary {
        cluster: None,
        quorum: Quorum::Unformed,
        members: vec![silent("m1"), silent("m2"), silent("m3")],
        ..voters()
    };
    let status = composed(Phase::Waiting, &present(active()), &etcd);
    assert_eq!(status.etcd, EtcdStatus::Unformed);
    assert_eq!(verdict(&status, at(1)), Verdict::Waiting);
}

#[test]
fn only_a_list_read_with_quorum_makes_a_master_absent() {
    let mut etcd = voters();
    etcd.members.truncate(2);
    etcd.members.push(member("m3", None, Leading::Follower, summary::Health::Unreachable));
    let role = |etcd: &Summary| composed(Phase::Converged, &present(active()), etcd).masters[2].member;
    assert_eq!(role(&etcd), MemberRole::Absent);
    etcd.quorum = Quorum::Lost;
    assert_eq!(role(&etcd), MemberRole::Unknown);
}

#[test]
fn what_may_be_lost_counts_from_the_voters_that_answer() {
    let mut etcd = voters();
    etcd.members[2].health = summary::Health::Unreachable;
    let status = composed(Phase::Converged, &present(active()), &etcd);
    assert!(matches!(status.etcd, EtcdStatus::Quorate { voters: 3, healthy: 2, may_lose: 0, .. }), "{:?}", status.etcd);
}

#[test]
fn a_weak_fence_is_a_note_that_changes_no_verdict() {
    let state = State { fence: Fence::LifetimeOnly, fence_problem: Some("no nftables".into()), ..active() };
    let status = composed(Phase::Converged, &present(state), &voters());
    assert_eq!(verdict(&status, at(1)), Verdict::Fine);
    assert!(findings(&status, at(1)).iter().any(|finding| finding.what.contains("no nftables")));
}

#[test]
fn a_master_that_runs_another_generation_is_named() {
    let mut status = composed(Phase::Converged, &present(active()), &voters());
    status.masters[1].generation = Some(crate::ident::Generation(2));
    let found = findings(&status, at(1));
    assert_eq!(
        found.iter().map(|finding| finding.what.as_str()).collect::<Vec<_>>(),
        ["m2 runs generation 2, this master 1"]
    );
    assert_eq!(
        found.iter().map(|finding| finding.remedy.as_str()).collect::<Vec<_>>(),
        ["the manifest of generation 2 is dropped here as well"]
    );
    assert_eq!(verdict(&status, at(1)), Verdict::Waiting);
}
