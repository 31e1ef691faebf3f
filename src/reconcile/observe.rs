//! Looking at this host: what it is, and the files that a plan compares.

use super::Desired;
use crate::durable;
use crate::etcd::genesis::{Held, Marker, marker};
use crate::manifest::identity::{self, Fact, HostFacts, IdentityError};
use crate::manifest::{Identity, Manifest, Master};
use crate::network;
use crate::paths::Paths;
use crate::status::Volume;
use crate::systemd::UnitState;
use crate::trust::Verified;
use crate::vrrp::state::ObservedState;
use crate::{etcd, vrrp};
use nix::sys::statvfs::statvfs;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What this host knows of itself, to be compared with the identities in the manifest.
pub async fn facts(paths: &Paths) -> HostFacts {
    HostFacts {
        machine_id: text(&paths.machine_id()).and_then(|id| match id.parse() {
            Ok(id) => Fact::Known(id),
            Err(_) => Fact::Unknown { why: format!("'{}' holds none", paths.machine_id().display()) },
        }),
        macs: match network::kernel::observe().await {
            network::Observed::Links(links) => Fact::Known(links.iter().filter_map(|link| link.mac).collect()),
            network::Observed::Unknown { why } => Fact::Unknown { why },
        },
        hostname: match nix::unistd::gethostname() {
            Ok(name) => Fact::Known(name.to_string_lossy().into_owned()),
            Err(error) => Fact::Unknown { why: error.to_string() },
        },
        serial: text(&paths.smbios_serial()),
        uuid: text(&paths.smbios_uuid()),
    }
}

/// A machine without SMBIOS has no such file, and so no such property.
fn text(path: &Path) -> Fact<String> {
    match fs::read(path) {
        Ok(bytes) => Fact::Known(String::from_utf8_lossy(&bytes).trim().to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => Fact::Absent,
        Err(error) => Fact::Unknown { why: format!("'{}': {error}", path.display()) },
    }
}

/// What `manifest` asks of this host: to be the master that it recognises itself as, or, if there is none and it was one
/// before, to leave.
///
/// # Errors
/// It is not exactly one of the masters, and never was one of this cluster; or which one cannot be told.
pub async fn desired(manifest: Verified<Manifest>, paths: &Paths) -> Result<Option<Desired>, IdentityError> {
    let me = match identity::which(manifest.get(), &facts(paths).await) {
        Ok(me) => me.name.clone(),
        Err(error @ IdentityError::None { .. }) => {
            let former = former(manifest.get(), paths).ok_or(error)?;
            return Ok(Some(Desired::leaving(manifest, former, paths.clone())));
        }
        Err(error) => return Err(error),
    };
    Ok(Desired::new(manifest, &me, paths.clone()))
}

/// Who this host was in the same cluster: its marker says that it was a member, its certificate as whom. One whose name
/// and address the manifest has is meant by it, and recognises itself by a wrong identity; it does not leave for that.
fn former(manifest: &Manifest, paths: &Paths) -> Option<Master> {
    let Held::Marker(marker) = marker::read(paths) else { return None };
    let was_member = !matches!(marker, Marker::Prepared { .. } | Marker::Committed { .. });
    if !was_member || *marker.cluster() != manifest.cluster_id {
        return None;
    }
    let (name, address) = etcd::observe::read_material(paths).ok()?.issued_to()?;
    let meant = manifest.masters.iter().any(|master| master.name == name && master.address == address);
    (!meant).then(|| Master { name, address, identity: Identity::default(), interface: None })
}

/// The VRRP daemon: its configuration as rendered, its unit, and what it says of itself.
pub fn vrrp(paths: &Paths, unit: UnitState) -> vrrp::Observed {
    vrrp::Observed { config_file: durable::observe(&paths.vrrpd_config()), unit, state: state(&paths.vrrpd_state()) }
}

/// The file systems below what quorate and etcd write, each once; one that cannot be asked is left out.
pub fn storage(paths: &Paths) -> Vec<Volume> {
    let mut seen = BTreeSet::new();
    let volume = |path: PathBuf| {
        let there = path.ancestors().find(|path| path.exists())?;
        seen.insert(fs::metadata(there).ok()?.dev()).then(|| {
            let found = statvfs(there).ok()?;
            let block = found.fragment_size();
            Some(Volume {
                path: path.clone(),
                size_bytes: block.saturating_mul(found.blocks()),
                available_bytes: block.saturating_mul(found.blocks_available()),
                available_files: (found.files() > 0).then(|| found.files_available()),
            })
        })?
    };
    [paths.state(), paths.etcd_data(), paths.run()].into_iter().filter_map(volume).collect()
}

fn state(path: &Path) -> ObservedState {
    let unknown = |error: &dyn std::error::Error| ObservedState::Unknown {
        why: format!("cannot read '{}': {error}", path.display()),
    };
    match fs::read(path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(state) => ObservedState::Present(Box::new(state)),
            Err(error) => unknown(&error),
        },
        Err(error) if error.kind() == ErrorKind::NotFound => ObservedState::Absent,
        Err(error) => unknown(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse::parse;
    use crate::pki::issue::Authority;
    use crate::pki::{CA, CERTIFICATE, KEY, profile};

    #[test]
    fn a_file_system_that_holds_several_places_is_told_once() {
        let root = tempfile::tempdir().unwrap();
        let volumes = storage(&Paths::below(root.path()));
        assert_eq!(volumes.len(), 1, "{volumes:?}");
        assert!(volumes[0].available_bytes <= volumes[0].size_bytes && volumes[0].size_bytes > 0);
    }

    #[test]
    fn a_daemon_that_never_ran_is_absent_and_a_torn_document_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        assert_eq!(vrrp(&paths, UnitState::Inactive).state, ObservedState::Absent);
        fs::create_dir_all(paths.vrrpd_state().parent().unwrap()).unwrap();
        fs::write(paths.vrrpd_state(), "{").unwrap();
        assert!(matches!(vrrp(&paths, UnitState::Inactive).state, ObservedState::Unknown { .. }));
    }

    fn three_masters() -> Manifest {
        parse("m.yaml", &fs::read("spec/examples/three-masters.yaml").unwrap()).unwrap().manifest
    }

    /// A host with what it was given as m3 of three.
    fn issued() -> (tempfile::TempDir, Paths) {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let authority = Authority::create(&profile::authority("2026-11-22T20:00:00Z".parse().unwrap())).unwrap();
        let whole = three_masters();
        let profile = profile::node(&whole, &whole.masters[2], "2026-11-22T20:00:00Z".parse().unwrap());
        let bundle = authority.issue(&profile).unwrap();
        fs::create_dir_all(paths.node_pki()).unwrap();
        for (name, text) in [(KEY, bundle.key()), (CERTIFICATE, bundle.certificate()), (CA, bundle.ca())] {
            fs::write(paths.node_pki().join(name), text).unwrap();
        }
        (root, paths)
    }

    fn was_a_member(paths: &Paths) {
        let cluster = three_masters().cluster_id;
        marker::write(paths, &Marker::Formed { cluster, etcd: 1, member: 3 }).unwrap();
    }

    #[test]
    fn a_former_member_leaves_and_neither_a_stranger_nor_a_mistaken_identity_does() {
        let (_root, paths) = issued();
        let former = |manifest: &Manifest| former(manifest, &paths).map(|master| master.name.to_string());
        let mut shrunk = three_masters();
        let third = shrunk.masters.pop().unwrap();
        assert_eq!(former(&shrunk), None, "it was never a member");
        was_a_member(&paths);
        assert_eq!(former(&shrunk), Some(third.name.to_string()));
        assert_eq!(former(&three_masters()), None, "the manifest has its name and address: its identity is mistaken");
        shrunk.masters.push(Master { address: "10.20.0.99".parse().unwrap(), ..third.clone() });
        assert_eq!(former(&shrunk), Some(third.name.to_string()), "another host has its name now");
        let foreign = Manifest { cluster_id: "00000000-5d0e-4b8e-9a3f-6f2f7a1d9c10".parse().unwrap(), ..shrunk };
        assert_eq!(former(&foreign), None, "another cluster");
    }

    #[tokio::test]
    async fn a_member_under_a_new_address_does_not_leave_because_it_cannot_read_what_it_is_known_by() {
        let (_root, paths) = issued();
        was_a_member(&paths);
        let serial = paths.smbios_serial();
        let looks = async || {
            let mut moved = three_masters();
            moved.masters[2].address = "10.20.0.99".parse().unwrap();
            moved.masters[2].identity = Identity { serial: Some("CZ3".into()), ..Identity::default() };
            let desired = desired(Verified::assumed(moved), &paths).await;
            desired.map(|desired| desired.unwrap().is_leaving()).map_err(|error| error.to_string())
        };
        // A directory cannot be read, whoever tries.
        fs::create_dir_all(&serial).unwrap();
        let refused = looks().await.unwrap_err();
        assert!(refused.starts_with("whether this host is 'm3' of cluster 'prod-east' cannot be told"), "{refused}");
        fs::remove_dir(&serial).unwrap();
        for (content, leaves) in [("CZ3\n", false), ("CZ4\n", true)] {
            fs::write(&serial, content).unwrap();
            assert_eq!(looks().await, Ok(leaves), "{content}");
        }
        fs::remove_file(&serial).unwrap();
        assert_eq!(looks().await, Ok(true), "a machine without a serial is not the one that has it");
    }
}
