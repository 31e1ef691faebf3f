//! `quorate report` on a host full of planted secrets: none of them may be in the archive.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the program under test has to be started")]

use quorate::paths::Paths;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Stands in every planted secret, in a form that no redaction would leave by chance.
const CANARY: &str = "hunter2-canary";

fn plant(root: &Path) {
    let paths = Paths::below(root);
    let put = |path: std::path::PathBuf, text: String| {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let key = format!("-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n");
    // Places that are never read, whatever they hold.
    put(paths.node_pki().join("node.key"), CANARY.into());
    put(paths.etcd_run().join("node.key"), CANARY.into());
    put(paths.etc_drop().join("node.pem"), CANARY.into());
    put(paths.etcd_data().join("member/wal/0.wal"), CANARY.into());
    put(root.join("proc/cmdline"), format!("systemd.set_credential=x:{CANARY}"));
    put(root.join("etc/shadow"), CANARY.into());
    // Places that are read, with secrets where they do not belong.
    put(paths.status(), format!("{{\"why\": \"GET https://admin:{CANARY}@10.0.0.1/ failed\"}}"));
    put(paths.metrics(), format!("# password={CANARY}\nquorate_build_info 1\n"));
    put(paths.vrrpd_config(), format!("{{\"token\": \"{CANARY}\", \"vrid\": 51}}"));
    put(paths.vrrpd_state(), format!("{{\"pem\": \"{}\"}}", key.replace('\n', "\\n")));
    put(paths.manifests().join("current/manifest.yaml"), format!("kind: ClusterManifest\n{key}"));
    put(paths.etc_drop().join("manifest.yaml"), format!("# Authorization: Bearer {CANARY}\nkind: ClusterManifest\n"));
    put(root.join("etc/os-release"), format!("ID=debian\nSECRET='{CANARY}'\n"));
    std::os::unix::fs::symlink(paths.node_pki().join("node.key"), paths.run().join("innocent")).unwrap();
}

fn report(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate")).arg("report").args(arguments).output().unwrap()
}

/// The files of an archive.
fn unpacked(archive: &Path) -> BTreeMap<String, String> {
    let mut archive = tar::Archive::new(fs::File::open(archive).unwrap());
    let files = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        (entry.path().unwrap().display().to_string(), text)
    });
    files.collect()
}

#[test]
fn no_planted_secret_reaches_the_archive() {
    let root = tempfile::tempdir().unwrap();
    plant(root.path());
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("report.tar");
    let output = report(&["--root", root.path().to_str().unwrap(), "--output", archive.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let bytes = fs::read(&archive).unwrap();
    let found = bytes.windows(CANARY.len()).position(|window| window == CANARY.as_bytes());
    let around = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(300)..at + 40]).into_owned());
    assert_eq!(around, None, "a secret is in the archive");
    assert_eq!(fs::metadata(&archive).unwrap().permissions().mode() & 0o777, 0o600);

    // What is not secret did arrive: an empty archive would pass the search as well.
    let files = unpacked(&archive);
    let has = |name: &str, text: &str| files[&format!("quorate-report/{name}")].contains(text);
    assert!(has("status.json", "@10.0.0.1/ failed"));
    assert!(has("vrrpd/config.json", "\"vrid\": 51"));
    assert!(has("manifest/current.yaml", "kind: ClusterManifest"));
    assert!(has("manifest/drop-etc.yaml", "kind: ClusterManifest"));
    assert!(has("system/etc/os-release", "ID=debian"));
    assert!(has("files.txt", "node.key"), "secret files are listed, not read");
    assert!(has("manifest/highwater.json.missing", "No such file"));
}

#[test]
fn the_journal_goes_the_same_way() {
    let place = tempfile::tempdir().unwrap();
    let journalctl = place.path().join("journalctl");
    fs::write(&journalctl, format!("#!/bin/sh\necho 'm1 quorate[1]: password: {CANARY}, step done'\n")).unwrap();
    fs::set_permissions(&journalctl, fs::Permissions::from_mode(0o755)).unwrap();
    let archive = place.path().join("report.tar");
    let output = Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(["report", "--output", archive.to_str().unwrap()])
        .env("PATH", format!("{}:/usr/bin:/bin", place.path().display()))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let files = unpacked(&archive);
    assert!(files.values().all(|text| !text.contains(CANARY)));
    assert!(files["quorate-report/journal.txt"].contains("step done"), "{:?}", files.keys());
    for kind in ["units.txt", "plan.json"] {
        assert!(files.keys().any(|name| name.contains(kind)), "{kind}, or why there is none");
    }
}

#[test]
fn an_existing_file_is_not_written_over() {
    let place = tempfile::tempdir().unwrap();
    let archive = place.path().join("report.tar");
    fs::write(&archive, "mine").unwrap();
    let output = report(&["--root", place.path().to_str().unwrap(), "--output", archive.to_str().unwrap()]);
    assert!(!output.status.success());
    assert_eq!(fs::read_to_string(&archive).unwrap(), "mine");
}
