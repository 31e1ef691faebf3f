//! Looking at this host: what it is, and the files that a plan compares.

use crate::durable;
use crate::ident::Mac;
use crate::manifest::identity::HostFacts;
use crate::network;
use crate::paths::Paths;
use crate::status::Volume;
use crate::systemd::UnitState;
use crate::vrrp;
use crate::vrrp::state::ObservedState;
use nix::sys::statvfs::statvfs;
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What this host knows of itself, to be compared with the identities in the manifest. What cannot be read is left
/// out and then matches nothing.
pub async fn facts(paths: &Paths) -> HostFacts {
    let macs: Vec<Mac> = match network::kernel::observe().await {
        network::Observed::Links(links) => links.iter().filter_map(|link| link.mac).collect(),
        network::Observed::Unknown { .. } => Vec::new(),
    };
    let text = |path: &Path| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    HostFacts {
        machine_id: text(&paths.machine_id()).and_then(|id| id.parse().ok()),
        macs,
        hostname: nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()),
        serial: text(&paths.smbios_serial()),
        uuid: text(&paths.smbios_uuid()),
    }
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
}
