//! The table of what `quorate install` places in a tree.
//!
//! All files land below `/usr`, so that a verity-protected image covers them and an empty or volatile `/etc` loses
//! nothing. The drop directory in `/etc` is placed for images whose `/etc` is read-only. The links in `/etc/systemd/system` are what `systemctl preset` would make of the preset;
//! they are placed because the tree's systemctl is never run, and derived from the units, so that there is one
//! place that says what is enabled.
//!
//! The texts are those of `units/`, compiled in: the program and its units cannot come from different versions.

use super::{Content, Entry, Payload};
use std::path::{Path, PathBuf};

/// The units as they land in `/usr/lib/systemd/system`.
const UNITS: [(&str, &str); 10] = [
    ("quorate-firstboot.service", include_str!("../../units/quorate-firstboot.service")),
    ("quorate-fallback.service", include_str!("../../units/quorate-fallback.service")),
    ("quorate-reconcile.service", include_str!("../../units/quorate-reconcile.service")),
    ("quorate-reconcile.timer", include_str!("../../units/quorate-reconcile.timer")),
    ("quorate-reconcile.path", include_str!("../../units/quorate-reconcile.path")),
    ("quorate-vrrpd.service", include_str!("../../units/quorate-vrrpd.service")),
    ("quorate-volume.service", include_str!("../../units/quorate-volume.service")),
    ("quorate-fetch.service", include_str!("../../units/quorate-fetch.service")),
    ("quorate-fetch.timer", include_str!("../../units/quorate-fetch.timer")),
    ("quorate-etcd.service", include_str!("../../units/quorate-etcd.service")),
];

/// Further texts, below `/usr/lib`.
const TEXTS: [(&str, &str); 7] = [
    ("systemd/system-preset/50-quorate.preset", PRESET),
    ("tmpfiles.d/quorate.conf", include_str!("../../units/tmpfiles.conf")),
    ("sysusers.d/quorate.conf", include_str!("../../units/sysusers.conf")),
    ("udev/rules.d/90-quorate.rules", include_str!("../../units/90-quorate.rules")),
    ("systemd/system/etcd.service.d/50-quorate.conf", include_str!("../../units/etcd.service.conf")),
    ("systemd/system/quorate-firstboot.service.d/10-sandbox.conf", RECONCILE_SANDBOX),
    ("systemd/system/quorate-reconcile.service.d/10-sandbox.conf", RECONCILE_SANDBOX),
];

/// Where tmpfiles.d finds them in order, also on a read-only `/etc`.
const DIRECTORIES: [(&str, u32); 2] = [("etc/quorate", 0o755), ("etc/quorate/drop", 0o700)];

const PRESET: &str = include_str!("../../units/50-quorate.preset");
const RECONCILE_SANDBOX: &str = include_str!("../../units/reconcile-sandbox.conf");
const NETWORKD_KEEP: &str = include_str!("../../units/networkd-keep.conf");

const PROGRAM_MODE: u32 = 0o755;
const TEXT_MODE: u32 = 0o644;

/// The whole table. `networks` are the names of the tree's own `.network` files: each of them would otherwise make
/// systemd-networkd take the VIP off its link. NetworkManager needs no such file (spec/operations.md).
pub fn table<'a>(payload: &'a Payload, networks: &[String]) -> Vec<Entry<'a>> {
    let file = |path: PathBuf, bytes: &'a [u8], mode| Entry { path, content: Content::File { bytes, mode } };
    let lib = Path::new("usr/lib");
    let mut table = vec![
        file("usr/bin/quorate".into(), &payload.quorate, PROGRAM_MODE),
        file("usr/lib/quorate/quorate-vrrpd".into(), &payload.vrrpd, PROGRAM_MODE),
        file("usr/lib/quorate/trust/allowed_signers".into(), &payload.trust, TEXT_MODE),
    ];
    table.extend(
        UNITS.iter().map(|(name, text)| file(lib.join("systemd/system").join(name), text.as_bytes(), TEXT_MODE)),
    );
    table.extend(TEXTS.iter().map(|(path, text)| file(lib.join(path), text.as_bytes(), TEXT_MODE)));
    table.extend(networks.iter().map(|name| {
        let path = lib.join("systemd/network").join(format!("{name}.d/50-quorate.conf"));
        file(path, NETWORKD_KEEP.as_bytes(), TEXT_MODE)
    }));
    table.extend(
        DIRECTORIES.iter().map(|(path, mode)| Entry { path: path.into(), content: Content::Directory { mode: *mode } }),
    );
    table.extend(enabled().map(|(path, target)| Entry { path, content: Content::Link { target } }));
    table
}

/// The links that enable what the preset enables, as the `[Install]` sections ask for.
fn enabled() -> impl Iterator<Item = (PathBuf, PathBuf)> {
    let enabled = |name: &&(&str, &str)| PRESET.lines().any(|line| line.strip_prefix("enable ") == Some(name.0));
    UNITS.iter().filter(enabled).flat_map(|(name, text)| {
        let wanted = text.lines().filter_map(|line| line.strip_prefix("WantedBy=")).map(|target| (target, "wants"));
        let required =
            text.lines().filter_map(|line| line.strip_prefix("RequiredBy=")).map(|target| (target, "requires"));
        wanted.chain(required).map(move |(target, kind)| {
            let link = Path::new("etc/systemd/system").join(format!("{target}.{kind}")).join(name);
            (link, Path::new("/usr/lib/systemd/system").join(name))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use std::collections::BTreeSet;

    fn payload() -> Payload {
        Payload { quorate: b"q".to_vec(), vrrpd: b"v".to_vec(), trust: b"t".to_vec() }
    }

    #[test]
    fn no_path_stands_twice_and_none_is_absolute() {
        let payload = payload();
        let table = table(&payload, &["10-lan.network".into()]);
        let paths: BTreeSet<_> = table.iter().map(|entry| entry.path.clone()).collect();
        assert_eq!(paths.len(), table.len());
        assert!(paths.iter().all(|path| path.is_relative()));
    }

    #[test]
    fn every_file_lands_below_usr() {
        for entry in table(&payload(), &["10-lan.network".into()]) {
            let file = matches!(entry.content, Content::File { .. });
            assert!(entry.path.starts_with(if file { "usr" } else { "etc" }), "{}", entry.path.display());
        }
    }

    #[test]
    fn the_directories_are_those_that_tmpfiles_makes_on_a_writable_etc() {
        let tmpfiles = include_str!("../../units/tmpfiles.conf");
        for (path, mode) in DIRECTORIES {
            let wanted = ["d".to_owned(), format!("/{path}"), format!("{mode:04o}")];
            let stands =
                tmpfiles.lines().any(|line| line.split_whitespace().take(3).eq(wanted.iter().map(String::as_str)));
            assert!(stands, "{path}");
        }
    }

    #[test]
    fn trust_lands_where_the_host_reads_it() {
        let payload = payload();
        let place = Paths::below("").allowed_signers();
        assert!(table(&payload, &[]).iter().any(|entry| entry.path == place));
    }

    #[test]
    fn everything_the_preset_names_is_a_unit_and_gets_its_links() {
        let links: Vec<_> = enabled().map(|(link, _)| link.display().to_string()).collect();
        assert_eq!(
            links,
            [
                "etc/systemd/system/multi-user.target.wants/quorate-firstboot.service",
                "etc/systemd/system/boot-complete.target.requires/quorate-firstboot.service",
                "etc/systemd/system/timers.target.wants/quorate-reconcile.timer",
                "etc/systemd/system/paths.target.wants/quorate-reconcile.path",
                "etc/systemd/system/multi-user.target.wants/quorate-volume.service",
                "etc/systemd/system/multi-user.target.wants/quorate-fetch.service",
                "etc/systemd/system/timers.target.wants/quorate-fetch.timer",
            ]
        );
        for name in PRESET.lines().filter_map(|line| line.strip_prefix("enable ")) {
            assert!(links.iter().any(|link| link.ends_with(name)), "{name} is enabled but has no [Install]");
        }
    }

    #[test]
    fn each_network_file_of_the_tree_keeps_the_vip() {
        let payload = payload();
        let table = table(&payload, &["10-lan.network".into()]);
        let place = Path::new("usr/lib/systemd/network/10-lan.network.d/50-quorate.conf");
        assert!(table.iter().any(|entry| entry.path == place));
    }
}
