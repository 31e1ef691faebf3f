//! Reads what the bundle holds from files. Only what stands in these tables is read, and only regular files.

use super::Entry;
use crate::paths::Paths;
use std::fs::{self, DirEntry, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Files of the operating system, below the root.
const SYSTEM: [&str; 14] = [
    "etc/os-release",
    "proc/version",
    "proc/uptime",
    "proc/loadavg",
    "proc/meminfo",
    "proc/mounts",
    "proc/pressure/cpu",
    "proc/pressure/io",
    "proc/pressure/memory",
    "proc/net/dev",
    "proc/net/snmp",
    "proc/net/igmp",
    "proc/net/if_inet6",
    "proc/net/route",
];

/// More of one file than that is not read; none of them is that long in health.
const MOST_BYTES: u64 = 1 << 20;

/// Everything that lies in files. `root` is the one that `paths` hang below.
pub fn files(paths: &Paths, root: &Path) -> Vec<Entry> {
    let own = [
        ("status.json", paths.status()),
        ("metrics.prom", paths.metrics()),
        ("vrrpd/config.json", paths.vrrpd_config()),
        ("vrrpd/state.json", paths.vrrpd_state()),
        ("manifest/current.yaml", paths.manifests().join("current/manifest.yaml")),
        ("manifest/highwater.json", paths.ratchet()),
        ("manifest/allowed_signers", paths.allowed_signers()),
        ("manifest/policy.yaml", paths.trust_policy()),
        ("manifest/baked.yaml", paths.baked_manifest()),
        ("manifest/drop-run.yaml", paths.run_drop().join("manifest.yaml")),
        ("manifest/drop-etc.yaml", paths.etc_drop().join("manifest.yaml")),
        ("manifest/drop-var.yaml", paths.var_drop().join("manifest.yaml")),
    ];
    let mut entries: Vec<Entry> = own.iter().map(|(name, path)| file(name, path)).collect();
    entries.extend(SYSTEM.iter().map(|place| file(&format!("system/{place}"), &root.join(place))));
    entries.push(listing(paths));
    entries
}

fn file(name: &str, path: &Path) -> Entry {
    match read(path) {
        Ok(content) => Entry::new(name, &content),
        Err(error) => Entry::missing(name, &format!("'{}': {error}", path.display())),
    }
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("not a regular file"));
    }
    let mut content = Vec::new();
    file.take(MOST_BYTES).read_to_end(&mut content)?;
    Ok(content)
}

/// Deep enough for etcd's snapshots and the accepted manifests.
const DEPTH: usize = 4;
/// A directory that was filled by mistake must not fill the bundle.
const MOST_LINES: usize = 2000;

/// What lies where, with mode, owner and size, without content: also of the places whose content is secret.
fn listing(paths: &Paths) -> Entry {
    let mut lines = Vec::new();
    let drops = paths.drops();
    let places = [paths.run(), paths.state(), paths.etcd_data()];
    for place in places.iter().chain(&drops) {
        lines.push(format!("{}:", place.display()));
        list(place, DEPTH, &mut lines);
    }
    Entry::new("files.txt", (lines.join("\n") + "\n").as_bytes())
}

fn list(directory: &Path, depth: usize, lines: &mut Vec<String>) {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => return lines.push(format!("  {error}")),
    };
    let mut entries: Vec<DirEntry> = entries.filter_map(Result::ok).collect();
    entries.sort_by_key(DirEntry::path);
    for entry in entries {
        if lines.len() >= MOST_LINES {
            return;
        }
        let path: PathBuf = entry.path();
        // The metadata of a link itself: where it points is said, not followed.
        let Ok(seen) = fs::symlink_metadata(&path) else { continue };
        let target = fs::read_link(&path).map(|target| format!(" -> {}", target.display())).unwrap_or_default();
        lines.push(format!(
            "  {:06o} {}:{} {:>10} {}{target}",
            seen.mode(),
            seen.uid(),
            seen.gid(),
            seen.size(),
            path.display()
        ));
        if seen.is_dir() && depth > 1 {
            list(&path, depth - 1, lines);
        }
    }
}
