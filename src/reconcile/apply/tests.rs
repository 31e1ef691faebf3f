//! A simulated host, killed between and inside any two steps: the next run has to finish what was begun.

use super::super::sim::{self, Death, SimHost};
use super::*;
use crate::etcd::DataDirectory;
use crate::etcd::genesis::{Held, Marker};
use crate::network::Carrier;
use crate::plan::Step;
use crate::systemd::UnitState;
use crate::vrrp::config::Config;

fn desired() -> Desired {
    sim::desired(&[])
}

async fn run(host: &mut SimHost, patience: Duration) -> (Ending, Vec<String>) {
    let mut done = Vec::new();
    let ending = converge(host, &desired(), Instant::now() + patience, &mut |event| {
        if let Event::Done(Step { action, .. }) = event {
            done.push(action.to_string());
        }
    })
    .await;
    (ending, done)
}

#[tokio::test(start_paused = true)]
async fn an_empty_host_becomes_a_member_and_then_there_is_nothing_left_to_do() {
    let mut host = SimHost::new();
    let (ending, done) = run(&mut host, Duration::ZERO).await;
    assert!(matches!(ending, Ending::Converged), "{ending:?} after {done:#?}");
    let (ending, done) = run(&mut host, Duration::ZERO).await;
    assert!(matches!(ending, Ending::Converged));
    assert_eq!(done, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn killed_before_or_after_any_step_the_next_run_converges() {
    let (_, steps) = run(&mut SimHost::new(), Duration::ZERO).await;
    assert!(steps.len() > 8, "a shrunken plan would make this test empty: {steps:#?}");
    for at in 1..=steps.len() {
        for death in [Death::Before(at), Death::After(at)] {
            let mut host = SimHost { death, ..SimHost::new() };
            let (ending, _) = run(&mut host, Duration::ZERO).await;
            assert!(matches!(ending, Ending::Failed(_)), "{death:?}: {ending:?}");
            (host.death, host.executed) = (Death::Never, 0);
            let (ending, done) = run(&mut host, Duration::ZERO).await;
            // From the marker on, an empty data directory may be a lost one: starting `new` again could take back a
            // vote (E2). That master rejoins with its peers' quorum, which this host alone does not have.
            if host.data == DataDirectory::Absent && matches!(host.held, Held::Marker(Marker::Executed { .. })) {
                assert!(matches!(ending, Ending::Waiting(_)), "{death:?}: {ending:?} after {done:#?}");
                continue;
            }
            assert!(matches!(ending, Ending::Converged), "{death:?}: {ending:?} after {done:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_vip_does_not_wait_for_etcd_nor_etcd_for_the_vip() {
    let mut alone = SimHost { peers_agree: false, ..SimHost::new() };
    let (ending, _) = run(&mut alone, Duration::from_secs(5)).await;
    assert!(
        matches!(&ending, Ending::Waiting(blocked) if blocked.iter().any(|b| b.why == "m2 does not answer")),
        "{ending:?}"
    );
    assert_eq!(alone.vrrpd, UnitState::Active);

    let mut unplugged = SimHost { link: Carrier::Absent, ..SimHost::new() };
    let (ending, _) = run(&mut unplugged, Duration::from_secs(5)).await;
    assert!(matches!(ending, Ending::Waiting(_)), "{ending:?}");
    assert_eq!((unplugged.etcd, unplugged.vrrpd), (UnitState::Active, UnitState::Inactive));
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_ends_its_own_part_and_no_other() {
    // The first action of all is the VRRP configuration; its part ends there, the others go on.
    let mut host = SimHost { death: Death::Before(1), ..SimHost::new() };
    let (ending, done) = run(&mut host, Duration::ZERO).await;
    let Ending::Failed(failures) = ending else { panic!("{ending:?}") };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].step.action.part(), Part::Vrrp);
    assert_eq!(host.vrrpd, UnitState::Inactive);
    assert_eq!(done, ["install the key and certificates of '/etc/quorate/drop/node.pem'"]);
}

#[test]
fn the_simulated_daemon_runs_what_the_plan_renders() {
    let desired = desired();
    let rendered = desired.vrrp("eth0").config;
    assert!(Config::parse(&rendered.content).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_during_the_run_is_looked_at_before_it_ends() {
    let mut host = SimHost { dropped_meanwhile: true, ..SimHost::new() };
    let (ending, _) = run(&mut host, Duration::ZERO).await;
    assert!(matches!(ending, Ending::NewInput), "{ending:?}");
}
