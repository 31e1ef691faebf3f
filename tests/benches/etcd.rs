//! From nothing to three healthy voters: quorate's genesis beside three bare etcd processes that are given their
//! configuration by hand, alternating in one run. The bound is three times the bare time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, dead_code, reason = "a bench")]

#[path = "../etcd/host.rs"]
mod host;
#[path = "../etcd/world.rs"]
mod world;

use futures_util::future::join_all;
use host::{Ended, Host};
use quorate::etcd::genesis::{Nonce, Round};
use quorate::etcd::service::{Start, environment, key_files};
use quorate::etcd::{Action, observe};
use quorate::systemd::{Unit, UnitAction, Verb};
use std::time::Duration;
use tokio::time::Instant;
use world::{NEWEST, World, with_etcd};

const RUNS: u8 = 7;
const MOST_TIMES_BARE: f64 = 3.0;
const PATIENCE: Duration = Duration::from_secs(60);

fn main() {
    with_etcd(NEWEST, |world| async move {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for run in 0..RUNS {
            ours.push(timed(&world, async |hosts| genesis(hosts).await).await);
            bare.push(timed(&world, async |hosts| by_hand(hosts, run).await).await);
        }
        let (ours, bare) = (median(&mut ours), median(&mut bare));
        let ratio = ours.as_secs_f64() / bare.as_secs_f64();
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "{:44} {:>10} {:>10} {:>7} {:>7}",
            "to three voters, median of 7", "quorate", "bare etcd", "ratio", "limit"
        );
        println!(
            "{:44} {:>7.0} ms {:>7.0} ms {ratio:>7.2} {MOST_TIMES_BARE:>7.1}",
            "genesis on loopback",
            ms(ours),
            ms(bare)
        );
        let row = serde_json::json!([{
            "name": "etcd genesis to three voters", "ours": ms(ours), "peer": ms(bare), "limit": ms(bare) * MOST_TIMES_BARE,
            "unit": "ms", "ratio": ratio, "runs": RUNS,
        }]);
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/target/bench");
        std::fs::create_dir_all(place).unwrap();
        std::fs::write(format!("{place}/etcd.json"), serde_json::to_vec_pretty(&row).unwrap()).unwrap();
        assert!(ratio <= MOST_TIMES_BARE, "genesis takes {ratio:.2} times as long as bare etcd");
    });
}

/// The time `bring_up` needs for three empty hosts.
async fn timed(world: &World, bring_up: impl AsyncFn(&mut [Host])) -> Duration {
    let masters = [1, 2, 3];
    let mut hosts = masters.map(|me| Host::new(world, me, &masters));
    let started = Instant::now();
    bring_up(&mut hosts).await;
    let taken = started.elapsed();
    hosts.iter_mut().for_each(Host::wipe);
    taken
}

async fn genesis(hosts: &mut [Host]) {
    for ended in join_all(hosts.iter_mut().map(|host| host.reconcile(PATIENCE))).await {
        assert!(matches!(ended, Ended::Converged), "{ended:?}");
    }
}

async fn by_hand(hosts: &mut [Host], run: u8) {
    join_all(hosts.iter_mut().map(|host| async move {
        let desired = host.desired.clone();
        let round = Round { cluster: desired.cluster, members: desired.members, nonce: Nonce::of([run; 16]) };
        let places = observe::places(&host.paths);
        let material = observe::read_material(&host.paths).unwrap();
        let mut files = key_files(&places, &material).to_vec();
        files.push(environment(&desired.me, desired.address, &places, &Start::New(round)));
        let until = Instant::now() + PATIENCE;
        for file in files {
            host.execute(&Action::Render { file }, until).await.unwrap();
        }
        host.execute(&Action::Unit(UnitAction { unit: Unit::Etcd, verb: Verb::Start }), until).await.unwrap();
    }))
    .await;
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
