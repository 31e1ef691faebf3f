//! Looking at this host's member and, as far as needed, at the others. Changes nothing but its own memory of what stood
//! still ([`super::watch`]).
//!
//! A converged member costs one connection to itself. Only when it does not read with quorum are the other masters
//! asked, all at once, each with a deadline of about a second, so that dead peers do not add up.

use super::change::{Fit, fit, own};
use super::client::Endpoint;
use super::cluster::{Listed, PeerSeen, Role, View};
use super::genesis::{Held, Marker, Stamp, marker};
use super::material::{CA, CERTIFICATE, KEY, Material};
use super::plan::unfit;
use super::watch::{Record, Watched};
use super::{DataDirectory, Desired, Local, Observed, Places, highwater, poll, probe, recovery, storage};
use crate::durable;
use crate::ident::NodeName;
use crate::manifest::EtcdPhase;
use crate::paths::Paths;
use crate::systemd::UnitState;
use futures_util::future::join_all;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// Looks at everything that [`super::plan::plan`] needs.
pub async fn observe(desired: &Desired, paths: &Paths, unit: UnitState) -> Observed {
    let material = read_material(paths);
    let places = places(paths);
    let files = ["environment", KEY, CERTIFICATE, CA].map(|name| places.run.join(name));
    let data = data_directory(paths);
    // Reading the whole log costs a second on a large one: only a start that failed is worth it.
    let damage = matches!(unit, UnitState::Failed { .. }).then(|| storage::damage(paths, &data)).flatten();
    let mut seen = Observed {
        data,
        room: storage::room(paths),
        damage,
        stamp: stamp(&places.data),
        held: marker::read(paths),
        unit,
        files: files.into_iter().map(|path| (path.clone(), durable::observe(&path))).collect(),
        local: Local::Silent { why: "not asked: this master has no usable certificate".into() },
        peers: BTreeMap::new(),
        view: None,
        conditions: BTreeMap::new(),
        past: highwater::Seen::default(),
        versions: BTreeMap::new(),
        watched: Watched::default(),
        recovery: None,
        places,
        material,
    };
    if seen.data == DataDirectory::HasWal && matches!(seen.unit, UnitState::Inactive | UnitState::Failed { .. }) {
        seen.past = highwater::mark::look(paths);
    }
    if let Ok(material) = &seen.material {
        (seen.local, seen.view) = local(desired, material).await;
        if seen.view.is_none() && others_matter(desired, &seen) == Others::Matter {
            (seen.peers, seen.view) = others(desired, material).await;
        }
        if given_up_at_stake(desired, &seen.held) {
            seen.recovery = recovery(desired, material).await;
        }
        if let Some(view) = seen.view.as_ref().filter(|view| change_at_stake(desired, &seen, view)) {
            let asked = poll::poll(view, material).await;
            seen.conditions = asked.conditions;
            seen.versions = asked.answers.iter().map(|(member, answer)| (*member, answer.version.clone())).collect();
            seen.watched.applied = asked.answers.iter().map(|(member, answer)| (*member, answer.applied)).collect();
            seen.watched.answering = answering(desired, view, material).await;
        }
    }
    seen.watched.still = remember(desired, paths, &seen);
    seen
}

/// Takes this look into the record. A reader without the right to write only reads it.
fn remember(desired: &Desired, paths: &Paths, seen: &Observed) -> BTreeMap<u64, Duration> {
    let place = paths.run().join("etcd-watch.json");
    let before: Record =
        std::fs::read(&place).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let now_s = boot_s();
    let after = before.clone().after(desired, seen.view.as_ref(), &seen.watched.applied, now_s);
    if after != before {
        let text = serde_json::to_vec(&after).unwrap_or_default();
        let _ignored = durable::replace(&place, &text, 0o644, None);
    }
    after.still(now_s)
}

/// Seconds since this boot, suspended ones included. No step of the wall clock makes anybody look stuck.
fn boot_s() -> u64 {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME);
    now.map_or(0, |now| now.tv_sec().try_into().unwrap_or(0))
}

/// The owners of learners whose host answers at its peer port, if only that nothing listens there.
async fn answering(desired: &Desired, view: &View, material: &Material) -> BTreeSet<NodeName> {
    let Ok(tls) = material.client() else { return BTreeSet::new() };
    let learners = view.members.iter().filter(|listed| listed.role == Role::Learner);
    let owners = learners.filter_map(|listed| match fit(desired, listed) {
        Fit::Master(name) if name != desired.me => desired.members.get(&name).map(|address| (name, *address)),
        _ => None,
    });
    let asked = owners.map(|(name, address)| {
        let tls = tls.clone();
        async move {
            let silent = matches!(probe::members(&tls, &name, address).await, PeerSeen::Silent { .. });
            (!silent).then_some(name)
        }
    });
    join_all(asked).await.into_iter().flatten().collect()
}

/// Whether what the others show can change what is done here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Others {
    Matter,
    DoNotMatter,
}

/// An existing data directory is started without asking anybody, and so is a start that all have agreed to; asking
/// would only cost the time that dead or starting peers take not to answer.
fn others_matter(desired: &Desired, seen: &Observed) -> Others {
    if desired.is_leaving() {
        return Others::Matter;
    }
    match (&seen.data, &seen.held, &seen.unit) {
        _ if given_up_at_stake(desired, &seen.held) || unfit(desired, seen).is_some() => Others::Matter,
        (DataDirectory::HasWal, _, UnitState::Inactive) => Others::DoNotMatter,
        // A member that was removed while it was away may hang in its start for ever (E16); one that is being formed
        // is waited for.
        (DataDirectory::HasWal, Held::Marker(Marker::Executed { .. }), UnitState::Changing) => Others::DoNotMatter,
        (DataDirectory::Absent | DataDirectory::Empty, Held::Marker(Marker::Committed { round }), _)
            if desired.phase == EtcdPhase::Genesis && round.fits(&desired.cluster, &desired.members) =>
        {
            Others::DoNotMatter
        }
        _ => Others::Matter,
    }
}

/// Whether a recovery is asked for or under way, or this master's data may be that of a cluster which was given up.
fn given_up_at_stake(desired: &Desired, held: &Held) -> bool {
    match (&desired.phase, held) {
        (EtcdPhase::Recovery(_), _) | (_, Held::Marker(Marker::Recovering { .. })) => true,
        // Which cluster it is of, only its own port tells.
        (EtcdPhase::Formed { .. }, Held::Marker(Marker::Executed { .. })) => true,
        (
            EtcdPhase::Formed { cluster_id },
            Held::Marker(Marker::Formed { etcd, .. } | Marker::Joining { etcd, .. }),
        ) => cluster_id != etcd,
        _ => false,
    }
}

async fn recovery(desired: &Desired, material: &Material) -> Option<recovery::Seen> {
    let tls = material.client().ok()?;
    let own_port = probe::members(&tls, &desired.me, desired.address).await;
    Some(recovery::Seen { now: now(), own_port })
}

#[expect(clippy::disallowed_methods, reason = "a driver: it dates what it observes")]
fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Whether the list differs from the manifest, or this master may have to change it to get in.
fn change_at_stake(desired: &Desired, seen: &Observed, view: &View) -> bool {
    seen.data != DataDirectory::HasWal
        || seen.damage.is_some()
        || own(desired, view).is_none()
        || view
            .members
            .iter()
            .any(|listed| listed.role == Role::Learner || !matches!(fit(desired, listed), Fit::Master(_)))
}

/// The paths that rendered files name.
pub fn places(paths: &Paths) -> Places {
    Places { run: paths.etcd_run(), data: paths.etcd_data() }
}

/// The node's key material, or why it cannot be used.
pub fn read_material(paths: &Paths) -> Result<Material, String> {
    let read = |name: &str| {
        let path = paths.node_pki().join(name);
        std::fs::read(&path).map_err(|error| format!("cannot read '{}': {error}", path.display()))
    };
    let material = Material::new(read(KEY)?, read(CERTIFICATE)?, read(CA)?);
    material.client().map_err(|error| error.to_string())?;
    Ok(material)
}

/// What is in the etcd data directory, if its storage is proven to be writable and to last.
pub fn data_directory(paths: &Paths) -> DataDirectory {
    let data = paths.etcd_data();
    let unknown = |path: &Path, error: std::io::Error| DataDirectory::Unknown {
        why: format!("cannot read '{}': {error}", path.display()),
    };
    if let Err(why) = storage::proven(paths) {
        return DataDirectory::Unknown { why };
    }
    let entries = match std::fs::read_dir(data.join("member")) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return if data.is_dir() { DataDirectory::Empty } else { DataDirectory::Absent };
        }
        Err(error) => return unknown(&data, error),
    };
    let mut found = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => found.push(entry.file_name().to_string_lossy().into_owned()),
            Err(error) => return unknown(&data, error),
        }
    }
    let wal = data.join("member/wal");
    match std::fs::read_dir(&wal) {
        Ok(mut logs) => {
            if logs.any(|log| log.is_ok_and(|log| log.path().extension().is_some_and(|end| end == "wal"))) {
                return DataDirectory::HasWal;
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return unknown(&wal, error),
    }
    // etcd creates these two before its first log: a start that ended between is no member yet.
    match found.iter().find(|name| !["snap", "wal.tmp"].contains(&name.as_str())) {
        Some(name) => DataDirectory::Foreign { found: format!("member/{name}") },
        None if snapshots(&data) => DataDirectory::Foreign { found: "member/snap".into() },
        None => DataDirectory::Empty,
    }
}

fn stamp(data: &Path) -> Option<Stamp> {
    let found = std::fs::metadata(data).ok()?;
    Some(Stamp { device: found.dev(), inode: found.ino(), modified_s: found.mtime(), modified_ns: found.mtime_nsec() })
}

/// Whether the snapshot directory holds a snapshot; the database file alone is created before the first log.
fn snapshots(data: &Path) -> bool {
    std::fs::read_dir(data.join("member/snap")).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.path().extension().is_some_and(|end| end == "snap")))
    })
}

async fn local(desired: &Desired, material: &Material) -> (Local, Option<View>) {
    let endpoint = match Endpoint::open(&desired.me, desired.address, material).await {
        Ok(endpoint) => endpoint,
        Err(error) => return (Local::Silent { why: error.to_string() }, None),
    };
    let status = match endpoint.status().await {
        Ok(status) => status,
        Err(error) => return (Local::Silent { why: error.to_string() }, None),
    };
    // A learner serves no linearizable read; the voters are asked instead.
    let view = if status.role == Role::Voter { endpoint.view().await.ok() } else { None };
    (Local::Answers(status), view)
}

async fn others(desired: &Desired, material: &Material) -> (BTreeMap<NodeName, PeerSeen>, Option<View>) {
    let Ok(tls) = material.client() else { return (BTreeMap::new(), None) };
    let asked = desired.peers().map(|(name, address)| async {
        let port = probe::members(&tls, name, *address).await;
        // Only a cluster that has run can read with quorum; one that is forming would cost the whole deadline.
        let view = match &port {
            PeerSeen::Members { members, .. } if members.iter().any(Listed::has_run) => {
                async { Endpoint::open(name, *address, material).await?.view().await }.await.ok()
            }
            _ => None,
        };
        (name.clone(), port, view)
    });
    let mut peers = BTreeMap::new();
    let mut found: Option<View> = None;
    for (name, port, view) in join_all(asked).await {
        peers.insert(name, port);
        found = found.or(view);
    }
    (peers, found)
}
