//! A client that writes all the time and keeps account of what was acknowledged.

use crate::world::{World, address, name};
use etcd_client::{Certificate, Client, ConnectOptions, GetOptions, Identity, TlsOptions};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::{Instant, sleep, timeout};

/// For one write; then the next endpoint gets its turn.
const ATTEMPT: Duration = Duration::from_millis(400);

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
    Client::connect([url], Some(ConnectOptions::new().with_tls(tls))).await.unwrap()
}

/// Writes in the background of `during`, then reads back every acknowledged write.
pub async fn while_writing<T>(world: &World, masters: &[u8], during: impl Future<Output = T>) -> T {
    let mut clients = Vec::new();
    for master in masters {
        clients.push(client(world, *master).await);
    }
    let acknowledged = Rc::new(RefCell::new(BTreeSet::new()));
    let gap = Rc::new(RefCell::new(Duration::ZERO));
    let set = LocalSet::new();
    let writer: JoinHandle<()> = {
        let (clients, acknowledged, gap) = (clients.clone(), acknowledged.clone(), gap.clone());
        set.spawn_local(async move {
            let mut last = Instant::now();
            for number in 0_u64.. {
                let mut client = clients[usize::try_from(number).unwrap() % clients.len()].clone();
                let write = client.put(format!("written/{number:08}"), number.to_string(), None);
                if let Ok(Ok(_)) = timeout(ATTEMPT, write).await {
                    acknowledged.borrow_mut().insert(number);
                    let now = Instant::now();
                    let longest = (*gap.borrow()).max(now - last);
                    *gap.borrow_mut() = longest;
                    last = now;
                }
                sleep(Duration::from_millis(5)).await;
            }
        })
    };
    let result = set.run_until(during).await;
    writer.abort();
    let mut lost = BTreeSet::new();
    for (at, client) in clients.iter().enumerate() {
        let range = GetOptions::new().with_prefix().with_keys_only().with_limit(0);
        let mut client = client.clone();
        let Ok(Ok(found)) = timeout(Duration::from_secs(5), client.get("written/", Some(range))).await else {
            continue;
        };
        let found: BTreeSet<u64> =
            found.kvs().iter().map(|pair| pair.key_str().unwrap()["written/".len()..].parse().unwrap()).collect();
        lost = acknowledged.borrow().difference(&found).copied().collect();
        println!(
            "{} acknowledged writes, {} lost as {} reads them, longest gap {:?}",
            acknowledged.borrow().len(),
            lost.len(),
            name(masters[at]),
            gap.borrow()
        );
        break;
    }
    assert!(!acknowledged.borrow().is_empty(), "the writer never got through");
    assert!(lost.is_empty(), "acknowledged and lost: {lost:?}");
    result
}
