//! Real etcd processes on loopback, driven by quorate's etcd part without systemd: replacing a dead master.

use crate::host::{Ended, Host};
use crate::report::Row;
use crate::world::{NEWEST, World, name, with_etcd};
use crate::writer::measured;
use futures_util::future::join_all;
use std::sync::Mutex;
use std::time::Duration;
use tokio::time::sleep;

/// Only a bound.
const PATIENCE: Duration = Duration::from_secs(60);
/// An election takes one second by default, twice that when it splits, and the writer needs a moment to find the leader.
const ELECTION: Duration = Duration::from_secs(6);

/// Everything that is measured here.
pub fn rows(runs: usize) -> Vec<Row> {
    let rows = Mutex::new(Vec::new());
    let taken = &rows;
    with_etcd(NEWEST, |world| async move {
        let replacement = replacement(&world, runs).await;
        taken.lock().unwrap().push(replacement);
    });
    rows.into_inner().unwrap()
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

async fn converge(hosts: &mut [Host]) {
    for ended in join_all(hosts.iter_mut().map(|host| host.reconcile(PATIENCE))).await {
        assert!(matches!(ended, Ended::Converged), "{ended:?}");
    }
}
