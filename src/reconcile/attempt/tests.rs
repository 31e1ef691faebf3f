//! Trials on the simulated host: kept, taken back, and killed at every step. What is in force is the way back.

use super::super::sim::{self, Death, SimHost};
use super::*;
use crate::reconcile::apply::{Ending, converge};
use crate::status::VrrpRole;
use crate::vrrp::machine::State;

const LIMIT: Duration = Duration::from_secs(60);

/// What the candidate changes: something that only the virtual router has to follow.
const EDITS: [(&str, &str); 2] =
    [("generation: 1", "generation: 2"), ("advertiseInterval: 100ms", "advertiseInterval: 1s")];

/// A host that is converged with the manifest in force.
async fn converged() -> SimHost {
    let mut host = SimHost::new();
    let m2 = "m2".parse().unwrap();
    host.others.insert(m2, VrrpRole::Active);
    back(&mut host).await;
    host
}

/// An ordinary run with the manifest in force.
async fn back(host: &mut SimHost) {
    let ending = converge(host, &sim::desired(&[]), Instant::now(), &mut |_| {}).await;
    assert!(matches!(ending, Ending::Converged), "{ending:?}");
    let in_force = sim::desired(&[]).vrrp("eth0").config.digest();
    assert_eq!(host.vrrpd_runs, Some(in_force), "the daemon runs the manifest in force");
}

async fn held(host: &mut SimHost, asked: Asked, answer: Option<Answer>) -> Result<(), String> {
    let answer = Box::new(move || answer.clone());
    let mut asked_for = Try { manifest: "candidate.yaml".into(), limit: LIMIT, asked, answer };
    match hold(host, &sim::desired(&EDITS), &mut asked_for, &mut |_| {}).await {
        Ended::Kept => Ok(()),
        Ended::TakenBack { why } => Err(why),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn what_verifies_is_kept_and_runs() {
    let mut host = converged().await;
    assert_eq!(held(&mut host, Asked::Nobody, None).await, Ok(()));
    assert_eq!(host.vrrpd_runs, Some(sim::desired(&EDITS).vrrp("eth0").config.digest()));
    assert_eq!(held(&mut host, Asked::Somebody, Some(Answer::Keep)).await, Ok(()), "again, and confirmed");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_confirms_or_verifies_is_taken_back_when_the_time_is_up() {
    let mut host = converged().await;
    let start = Instant::now();
    let why = held(&mut host, Asked::Somebody, None).await.unwrap_err();
    assert_eq!(why, "it verified, and nobody confirmed it");
    assert!(start.elapsed() >= LIMIT, "it was not given its time");
    back(&mut host).await;

    host.talkative = false;
    let why = held(&mut host, Asked::Nobody, None).await.unwrap_err();
    assert!(why.starts_with("it did not verify in time: m2, m3: not told"), "{why}");
    back(&mut host).await;
}

#[tokio::test(start_paused = true)]
async fn a_vip_that_two_masters_hold_is_taken_back_at_once() {
    let mut host = converged().await;
    host.role = State::Active;
    let start = Instant::now();
    let why = held(&mut host, Asked::Nobody, None).await.unwrap_err();
    assert!(why.starts_with("this master and m2 both hold the VIP"), "{why}");
    assert!(start.elapsed() < LIMIT / 2);
    host.role = State::Backup;
    back(&mut host).await;
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_ends_the_trial() {
    let mut host = converged().await;
    (host.death, host.executed) = (Death::Before(1), 0);
    let why = held(&mut host, Asked::Nobody, None).await.unwrap_err();
    assert!(why.contains("vrrpd.json") && why.contains("SIGKILL"), "{why}");
    back(&mut host).await;
}

#[tokio::test(start_paused = true)]
async fn killed_before_or_after_any_step_the_next_run_goes_back() {
    for at in 1..=2 {
        for death in [Death::Before(at), Death::After(at)] {
            let mut host = converged().await;
            (host.death, host.executed) = (death, 0);
            held(&mut host, Asked::Nobody, None).await.unwrap_err();
            (host.death, host.executed) = (Death::Never, 0);
            back(&mut host).await;
        }
    }
}
