//! A client that writes all the time and keeps account of what was acknowledged.

use crate::host::PATIENCE;
use crate::world::{World, address, name};
use etcd_client::{Certificate, Client, ConnectOptions, GetOptions, Identity, MemberAddOptions, TlsOptions};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, sleep, timeout};

/// For one write; then the next endpoint gets its turn.
const ATTEMPT: Duration = Duration::from_millis(400);

/// For any other request. etcd itself waits for ever for a change that was lost when its leader changed.
const ANSWER: Duration = Duration::from_secs(20);

/// A client of one master's member, with a certificate of the cluster CA.
pub async fn client(world: &World, master: u8) -> Client {
    let material = world.place.path().join("writer");
    world.issue(&material, "writer", address(250));
    let read = |file: &str| std::fs::read(material.join(file)).unwrap();
    let tls = TlsOptions::new()
        .ca_certificate(Certificate::from_pem(read("ca.crt")))
        .identity(Identity::from_pem(read("node.crt"), read("node.key")))
        .domain_name(name(master).as_str());
    let url = format!("https://{}:2379", address(master));
    Client::connect([url], Some(ConnectOptions::new().with_tls(tls).with_timeout(ANSWER))).await.unwrap()
}

/// Removes a member by hand, however often that has to be said.
pub async fn remove(world: &World, master: u8, member: u64) {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut etcd = client(world, master).await;
        let asked = etcd.member_remove(member).await;
        let listed = etcd.member_list().await;
        if listed.is_ok_and(|list| list.members().iter().all(|listed| listed.id() != member)) {
            return;
        }
        assert!(Instant::now() < until, "member {member:x} is still there: {asked:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Adds a learner by hand, however often that has to be said.
pub async fn add_learner(world: &World, master: u8, url: &str) {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut etcd = client(world, master).await;
        let asked = etcd.member_add([url], Some(MemberAddOptions::new().with_is_learner())).await;
        let listed = etcd.member_list().await;
        if listed.is_ok_and(|list| list.members().iter().any(|listed| listed.peer_urls() == [url])) {
            return;
        }
        assert!(Instant::now() < until, "{url} is still not a member: {asked:?}");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Makes a master's member the leader, so that a change asked of it needs no election and no other member's word.
pub async fn lead(world: &World, master: u8, masters: &[u8]) {
    let until = Instant::now() + PATIENCE;
    loop {
        let status = client(world, master).await.status().await.unwrap();
        let member = status.header().unwrap().member_id();
        if status.leader() == member {
            return;
        }
        for other in masters {
            // Only the leader does it; all others refuse.
            let _moved = client(world, *other).await.move_leader(member).await;
        }
        assert!(Instant::now() < until, "m{master} does not become the leader");
        sleep(Duration::from_millis(500)).await;
    }
}

/// Writes in the background of `during`, then reads back every acknowledged write. `masters` are those that write and
/// read; the longest gap between two acknowledged writes is printed.
pub async fn while_writing<T>(world: &World, masters: &[u8], during: impl Future<Output = T>) -> T {
    measured(world, masters, during).await.0
}

/// The same, with the longest time in which no write was acknowledged, from the first one on.
pub async fn measured<T>(world: &World, masters: &[u8], during: impl Future<Output = T>) -> (T, Duration) {
    let account = Rc::new(RefCell::new(Account::default()));
    let set = LocalSet::new();
    let mut writers = Vec::new();
    for master in masters {
        writers.push((*master, client(world, *master).await));
    }
    let writer: JoinHandle<()> = set.spawn_local(write(writers.clone(), account.clone()));
    let result = set.run_until(during).await;
    // What was short is over before the first write.
    let first = async {
        while account.borrow().acknowledged.is_empty() {
            sleep(PAUSE).await;
        }
    };
    let _late = timeout(Duration::from_secs(10), set.run_until(first)).await;
    writer.abort();
    let _stopped = set.run_until(writer).await;
    let Account { acknowledged, longest, .. } = account.take();
    assert!(!acknowledged.is_empty(), "the writer never got through");
    let (reader, found) = read_back(&mut writers).await;
    let lost: Vec<_> = acknowledged.difference(&found).collect();
    let (count, reader) = (acknowledged.len(), name(reader));
    println!("{count} acknowledged writes, {} lost as {reader} reads them, longest gap {longest:?}", lost.len());
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    (result, longest)
}

#[derive(Default)]
struct Account {
    acknowledged: BTreeSet<u64>,
    longest: Duration,
    last: Option<Instant>,
}

/// Stays with an endpoint as long as it acknowledges.
async fn write(writers: Vec<(u8, Client)>, account: Rc<RefCell<Account>>) {
    let mut turn = 0;
    for number in 0_u64.. {
        let (master, mut client) = writers[turn % writers.len()].clone();
        let attempt = async {
            // The library would retry in silence what nobody listens to.
            TcpStream::connect((address(master), 2379)).await.ok()?;
            client.put(format!("written/{number:08}"), number.to_string(), None).await.ok()
        };
        if let Ok(Some(_)) = timeout(ATTEMPT, attempt).await {
            let mut account = account.borrow_mut();
            account.acknowledged.insert(number);
            let now = Instant::now();
            account.longest = account.longest.max(account.last.map_or(Duration::ZERO, |last| now - last));
            account.last = Some(now);
        } else {
            turn += 1;
        }
        sleep(PAUSE).await;
    }
}

/// What the first master that reads with quorum has.
async fn read_back(readers: &mut [(u8, Client)]) -> (u8, BTreeSet<u64>) {
    for _ in 0..READ_ATTEMPTS {
        for (master, client) in &mut *readers {
            let range = GetOptions::new().with_prefix().with_keys_only().with_limit(0);
            let read = timeout(Duration::from_secs(2), client.get("written/", Some(range))).await;
            if let Ok(Ok(found)) = read {
                let number = |key: &str| key["written/".len()..].parse().unwrap();
                return (*master, found.kvs().iter().map(|pair| number(pair.key_str().unwrap())).collect());
            }
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("nobody reads back what was acknowledged");
}

/// Tries for `time` and hopes that nobody says yes: there is no quorum, so whoever acknowledges is another cluster.
pub async fn assert_no_write_is_acknowledged(world: &World, masters: &[u8], time: Duration) {
    let account = Rc::new(RefCell::new(Account::default()));
    let mut writers = Vec::new();
    for master in masters {
        writers.push((*master, client(world, *master).await));
    }
    let _until_then = timeout(time, write(writers, account.clone())).await;
    assert!(account.borrow().acknowledged.is_empty(), "a write was acknowledged without a quorum");
}

/// Between two writes of the writer.
const PAUSE: Duration = Duration::from_millis(5);
/// An election may be under way when the reading begins.
const READ_ATTEMPTS: usize = 30;
