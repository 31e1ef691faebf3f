//! Real etcd processes on loopback, driven by quorate's etcd part without systemd: formation, and replacing a dead master.

use crate::host::{Ended, Host};
use crate::report::Row;
use crate::world::{NEWEST, World, name, with_etcd};
use crate::writer::measured;
use futures_util::future::join_all;
use quorate::etcd::genesis::{Nonce, Round};
use quorate::etcd::service::{Start, environment, key_files};
use quorate::etcd::{Action, observe};
use quorate::systemd::{Unit, UnitAction, Verb};
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Only a bound.
const PATIENCE: Duration = Duration::from_secs(60);
/// An election takes one second by default, twice that when it splits, and the writer needs a moment to find the leader.
const ELECTION: Duration = Duration::from_secs(6);

/// Everything that is measured here.
pub fn rows(runs: usize) -> Vec<Row> {
    let rows = Mutex::new(Vec::new());
    let taken = &rows;
    with_etcd(NEWEST, |world| async move {
        let formation = formation(&world, runs).await;
        let replacement = replacement(&world, runs).await;
        taken.lock().unwrap().extend([formation, replacement]);
    });
    rows.into_inner().unwrap()
}

async fn formation(world: &World, runs: usize) -> Row {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for run in 0..runs {
        ours.push(timed(world, async |hosts| converge(hosts).await).await);
        peer.push(timed(world, async |hosts| by_hand(hosts, run).await).await);
    }
    let (name, beside) = ("first formation on loopback, to three voters", "three bare etcd processes");
    Row { name, ours, beside, peer, most_times: 3.0 }
}

/// The longest gap in a client's writes while a dead follower is removed and its successor joins and is promoted; and
/// while a leader dies and another one is elected.
async fn replacement(world: &World, runs: usize) -> Row {
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        let masters = [1, 2, 3];
        let mut hosts: Vec<Host> = masters.map(|me| Host::new(world, me, &masters)).into();
        // The one that died in the run before left its disk behind.
        hosts.iter_mut().for_each(Host::wipe);
        converge(&mut hosts).await;
        let leader = leader(&mut hosts[0]).await;
        let dead = masters.into_iter().find(|number| *number != leader).unwrap();
        let stay: Vec<u8> = masters.into_iter().filter(|number| *number != dead).collect();
        hosts.retain(|host| host.desired.me != name(dead));
        let now = [stay[0], stay[1], 4];
        hosts.iter_mut().for_each(|host| host.accept(&now, 2));
        hosts.push(Host::new(world, 4, &now));
        hosts[2].accept(&now, 2);
        let (_, gap) = measured(world, &stay, async {
            sleep(Duration::from_millis(500)).await;
            converge(&mut hosts).await;
            sleep(Duration::from_millis(500)).await;
        })
        .await;
        ours.push(gap);
        let (_, gap) = measured(world, &now, async {
            sleep(Duration::from_millis(500)).await;
            let leads = self::leader(&mut hosts[0]).await;
            hosts.iter_mut().filter(|host| host.desired.me == name(leads)).for_each(Host::kill_etcd);
            sleep(ELECTION).await;
        })
        .await;
        peer.push(gap);
        hosts.iter_mut().for_each(Host::wipe);
    }
    let (name, beside) = ("replacing a dead master, longest gap between two writes", "one election of a leader");
    Row { name, ours, beside, peer, most_times: 1.0 }
}

async fn leader(host: &mut Host) -> u8 {
    let view = host.observe().await.view.unwrap();
    view.member(view.leader).unwrap().name[1..].parse().unwrap()
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

async fn converge(hosts: &mut [Host]) {
    for ended in join_all(hosts.iter_mut().map(|host| host.reconcile(PATIENCE))).await {
        assert!(matches!(ended, Ended::Converged), "{ended:?}");
    }
}

async fn by_hand(hosts: &mut [Host], run: usize) {
    let nonce = [u8::try_from(run % 256).unwrap(); 16];
    join_all(hosts.iter_mut().map(|host| async move {
        let desired = host.desired.clone();
        let round = Round { cluster: desired.cluster, members: desired.members, nonce: Nonce::of(nonce) };
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
