//! The first formation in the lab: from the drop to three voters that each read with quorum, asked from outside.

use crate::harness::Lab;
use crate::harness::master::Master;
use crate::report::Row;
use anyhow::{Context as _, ensure};
use futures_util::future::join_all;
use quorate::etcd::Places;
use quorate::etcd::client::Endpoint;
use quorate::etcd::cluster::Role;
use quorate::etcd::genesis::{Nonce, Round};
use quorate::etcd::material::Material;
use quorate::etcd::service::{Start, environment, key_files};
use quorate::ident::NodeName;
use quorate::pki::bundle::Bundle;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// Only a bound.
const LIMIT: Duration = Duration::from_secs(120);
/// Between two questions; short against what is measured, and the same for both.
const PERIOD: Duration = Duration::from_millis(20);
/// A boot is still starting things when its systemd answers for the first time.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);

/// quorate and three bare etcd processes in turns, each on masters that were just installed and booted.
pub fn formation(lab: &mut Lab, runs: usize) -> anyhow::Result<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for run in 0..runs {
        install(lab)?;
        let material = material(lab, &lab.masters[0])?;
        let start = Instant::now();
        lab.drop_everywhere()?;
        ours.push(runtime.block_on(three_voters(lab, &material, start))?);
        println!("formation in the lab, run {run}: quorate {:?}", ours[run]);
        install(lab)?;
        let material = material_of_all(lab)?;
        let start = Instant::now();
        let mut started = by_hand(lab, &material, u8::try_from(run % 256)?)?;
        peer.push(runtime.block_on(three_voters(lab, &material[0], start))?);
        println!("formation in the lab, run {run}: bare etcd {:?}", peer[run]);
        started.iter_mut().try_for_each(|child| child.wait().map(drop))?;
    }
    let (name, beside) = ("first formation in the lab, from the drop to three voters", "three bare etcd processes");
    Ok(Row { name, ours, beside, peer, most_times: 3.0 })
}

/// Three masters after their first boot, with nothing left to start, and a signed manifest at the desk.
fn install(lab: &mut Lab) -> anyhow::Result<()> {
    lab.wipe_all()?;
    lab.boot_all()?;
    for master in &lab.masters {
        let until = Instant::now() + SETTLED_WITHIN;
        // Its exit code is that of the state: 'degraded' is settled too.
        while !["running", "degraded"].contains(&state(master)?.as_str()) {
            ensure!(Instant::now() < until, "{} is still starting", master.name);
            std::thread::sleep(PERIOD * 10);
        }
    }
    lab.desk.prepare().map(drop)
}

fn state(master: &Master) -> anyhow::Result<String> {
    let output = master.ask("systemctl", &["is-system-running"])?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The time from `start` until each member gives a list of three voters behind a quorum read of its own.
async fn three_voters(lab: &Lab, material: &Material, start: Instant) -> anyhow::Result<Duration> {
    loop {
        let asked = seats(lab)?.into_iter().map(|(name, address)| async move {
            let view = Endpoint::open(&name, address, material).await.ok()?.view().await.ok()?;
            Some(view.members.iter().filter(|listed| listed.role == Role::Voter && listed.has_run()).count())
        });
        let seen = join_all(asked).await;
        if seen.iter().all(|voters| *voters == Some(lab.masters.len())) {
            return Ok(start.elapsed());
        }
        ensure!(start.elapsed() < LIMIT, "no three voters within {LIMIT:?}: {seen:?}");
        tokio::time::sleep(PERIOD).await;
    }
}

fn seats(lab: &Lab) -> anyhow::Result<Vec<(NodeName, IpAddr)>> {
    lab.masters.iter().map(|master| Ok((master.name.parse()?, IpAddr::V4(master.address)))).collect()
}

fn material(lab: &Lab, master: &Master) -> anyhow::Result<Material> {
    let files = lab.desk.drop_for(master)?;
    let (_, bundle) = files.iter().find(|(name, _)| *name == "node.pem").context("no bundle at the desk")?;
    let bundle = Bundle::read(bundle)?;
    let bytes = |text: &str| text.as_bytes().to_vec();
    Ok(Material::new(bytes(bundle.key()), bytes(bundle.certificate()), bytes(bundle.ca())))
}

fn material_of_all(lab: &Lab) -> anyhow::Result<Vec<Material>> {
    lab.masters.iter().map(|master| material(lab, master)).collect()
}

/// What somebody with a script does: files into place, then etcd started everywhere at once.
fn by_hand(lab: &Lab, material: &[Material], run: u8) -> anyhow::Result<Vec<Child>> {
    let members = seats(lab)?;
    let cluster = "3f0c6a52-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse()?;
    let round = Round { cluster, members: members.iter().cloned().collect(), nonce: Nonce::of([run; 16]) };
    let places = Places { run: PathBuf::from("/run/bare"), data: PathBuf::from("/var/lib/bare") };
    let mut started = Vec::new();
    for ((master, material), (name, address)) in lab.masters.iter().zip(material).zip(members) {
        let mut files = key_files(&places, material).to_vec();
        files.push(environment(&name, address, &places, &Start::New(round.clone())));
        for file in files {
            put(master, &file.path, &file.content)?;
        }
        let unit = ["--quiet", "--unit=bare-etcd", "--property=EnvironmentFile=/run/bare/environment", "/usr/bin/etcd"];
        let mut run = master.command("systemd-run", &unit)?;
        started.push(run.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
    }
    Ok(started)
}

fn put(master: &Master, path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let inside = master.root()?.join(path.strip_prefix("/")?);
    std::fs::create_dir_all(inside.parent().context("a file lies in a directory")?)?;
    Ok(std::fs::write(inside, content)?)
}
