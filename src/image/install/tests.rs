//! Trees of a few files in a temporary directory stand for images.

use super::*;
use crate::image::layout;
use std::os::unix::fs::{MetadataExt, symlink};

fn payload() -> Payload {
    Payload { quorate: b"program".to_vec(), vrrpd: b"daemon".to_vec(), trust: b"keys".to_vec() }
}

/// A tree whose `/usr/lib` is reached through absolute links only, as some image builders leave it.
fn image() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("usr/lib64/systemd/network")).unwrap();
    fs::create_dir_all(root.path().join("etc/systemd/network")).unwrap();
    symlink("/usr/lib64", root.path().join("usr/lib")).unwrap();
    fs::write(root.path().join("usr/lib64/os-release"), "ID=bareos\n").unwrap();
    fs::write(root.path().join("usr/lib64/systemd/network/80-container-host0.network"), "").unwrap();
    fs::write(root.path().join("etc/systemd/network/10-lan.network"), "[Match]\nName=eth0\n").unwrap();
    root
}

fn place_all(tree: &Tree) -> Vec<Standing> {
    let payload = payload();
    let networks = tree.network_files().unwrap();
    layout::table(&payload, &networks).iter().map(|entry| tree.place(entry).unwrap()).collect()
}

#[test]
fn a_second_run_changes_nothing() {
    let root = image();
    let tree = Tree::open(root.path(), RunningSystem::Refused).unwrap();
    assert!(place_all(&tree).iter().all(|standing| *standing == Standing::Missing));
    let program = root.path().join("usr/bin/quorate");
    let before = fs::metadata(&program).unwrap();
    assert!(place_all(&tree).iter().all(|standing| *standing == Standing::Same));
    assert_eq!(fs::metadata(&program).unwrap().ino(), before.ino());
    assert_eq!(before.permissions().mode() & 0o7777, 0o755);
}

#[test]
fn absolute_links_of_the_tree_lead_inside_the_tree() {
    let root = image();
    place_all(&Tree::open(root.path(), RunningSystem::Refused).unwrap());
    assert_eq!(fs::read(root.path().join("usr/lib64/quorate/quorate-vrrpd")).unwrap(), b"daemon");
    let keep = root.path().join("usr/lib64/systemd/network/10-lan.network.d/50-quorate.conf");
    assert!(fs::read_to_string(keep).unwrap().contains("KeepConfiguration=yes"));
    assert!(!root.path().join("usr/lib64/systemd/network/80-container-host0.network.d").exists());
}

#[test]
fn a_link_where_a_file_belongs_is_replaced_and_its_target_untouched() {
    let root = image();
    let outside = tempfile::tempdir().unwrap();
    let victim = outside.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::create_dir_all(root.path().join("usr/bin")).unwrap();
    symlink(&victim, root.path().join("usr/bin/quorate")).unwrap();
    // A directory link that would lead out of the tree ends inside it: there is no such directory there.
    symlink(outside.path(), root.path().join("etc/systemd/system")).unwrap();
    let tree = Tree::open(root.path(), RunningSystem::Refused).unwrap();
    let payload = payload();
    let outcomes: Vec<_> = layout::table(&payload, &[]).iter().map(|entry| tree.place(entry)).collect();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(fs::read(root.path().join("usr/bin/quorate")).unwrap(), b"program");
    assert!(outcomes.iter().any(Result::is_err), "the dangling directory link is reported");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
}

#[test]
fn a_check_tells_missing_changed_and_wrong_mode() {
    let root = image();
    let tree = Tree::open(root.path(), RunningSystem::Refused).unwrap();
    place_all(&tree);
    fs::write(root.path().join("usr/bin/quorate"), "other program").unwrap();
    fs::remove_file(root.path().join("usr/lib64/tmpfiles.d/quorate.conf")).unwrap();
    let vrrpd = root.path().join("usr/lib64/quorate/quorate-vrrpd");
    fs::set_permissions(vrrpd, fs::Permissions::from_mode(0o777)).unwrap();
    let payload = payload();
    let standing = |path: &str| {
        let table = layout::table(&payload, &[]);
        let entry = table.iter().find(|entry| entry.path == Path::new(path)).unwrap();
        tree.standing(entry).unwrap()
    };
    assert_eq!(standing("usr/bin/quorate"), Standing::Changed);
    assert_eq!(standing("usr/lib/tmpfiles.d/quorate.conf"), Standing::Missing);
    assert_eq!(standing("usr/lib/quorate/quorate-vrrpd"), Standing::WrongMode);
    assert_eq!(standing("usr/lib/quorate/trust/allowed_signers"), Standing::Same);
    place_all(&tree);
    assert_eq!(standing("usr/lib/quorate/quorate-vrrpd"), Standing::Same);
}

#[test]
fn the_running_system_needs_consent() {
    let error = Tree::open(Path::new("/"), RunningSystem::Refused).unwrap_err();
    assert!(matches!(error, InstallError::RunningSystem { .. }), "{error}");
    // The same directory under another name is still the running system.
    let error = Tree::open(Path::new("/usr/.."), RunningSystem::Refused).unwrap_err();
    assert!(matches!(error, InstallError::RunningSystem { .. }), "{error}");
}

#[test]
fn a_directory_that_is_no_system_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let error = Tree::open(root.path(), RunningSystem::Refused).unwrap_err();
    assert!(matches!(error, InstallError::NotATree { .. }), "{error}");
    assert!(matches!(Tree::open(&root.path().join("none"), RunningSystem::Refused), Err(InstallError::Root { .. })));
}

#[test]
fn a_trust_file_that_trusts_nobody_or_is_spoiled_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let trust = place.path().join("allowed_signers");
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIO5MtyZPa1MpCVLKQ3Y1PLmxRFHN4nW3VmC2TgGxP0sM";
    let good = format!("admin@site namespaces=\"quorate-manifest\" {key}\n");
    let read = |text: &str| {
        fs::write(&trust, text).unwrap();
        Payload::read(&trust, &trust, &trust)
    };
    assert!(read(&good).is_ok());
    for bad in ["", "# nobody yet\n", "admin@site ssh-ed25519 AAAA\n", &format!("{good}operator@site nonsense {key}\n")]
    {
        assert!(matches!(read(bad), Err(InstallError::Trust { .. })), "{bad:?}");
    }
}
