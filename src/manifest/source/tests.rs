//! All sources at once, in the order that `spec/manifest.md` gives.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use super::collected::{Collection, Lack};
use super::*;
use std::fs;

fn lay(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "manifest").unwrap();
    fs::write(format!("{}.sig", path.display()), "signature").unwrap();
}

fn collect(paths: &Paths, slot: &Slot, origin: &str) {
    let files = [(DROPPED_MANIFEST, b"manifest".to_vec()), ("manifest.yaml.sig", b"signature".to_vec())];
    Collection::begin(paths).unwrap().keep(slot, origin, &files).unwrap();
}

fn volume(label: &str) -> (Slot, String) {
    (Slot::volume(label).unwrap(), format!("volume /dev/disk/by-label/{label}"))
}

#[test]
fn sources_are_looked_into_in_the_documented_order_and_say_their_names() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    lay(&paths.baked_manifest());
    lay(&paths.system_credentials().join(CREDENTIAL));
    collect(&paths, &Slot::CommandLine, "kernel command line, https://host/m.yaml");
    for label in ["config-2", "CIDATA", "QUORATE"] {
        let (slot, origin) = volume(label);
        collect(&paths, &slot, &origin);
    }
    paths.drops().iter().rev().for_each(|drop| lay(&drop.join(DROPPED_MANIFEST)));
    let (candidates, broken) = discover(&paths);
    assert!(broken.is_empty(), "{broken:?}");
    let root = root.path().display().to_string();
    let origins: Vec<_> = candidates.iter().map(|candidate| candidate.origin.to_string().replace(&root, "")).collect();
    assert_eq!(
        origins,
        [
            "/run/quorate/drop/manifest.yaml",
            "/etc/quorate/drop/manifest.yaml",
            "/var/lib/quorate/drop/manifest.yaml",
            "volume /dev/disk/by-label/QUORATE",
            "volume /dev/disk/by-label/CIDATA",
            "volume /dev/disk/by-label/config-2",
            "system credential quorate.manifest",
            "kernel command line, https://host/m.yaml",
            "/usr/lib/quorate/manifest.yaml",
        ]
    );
    let bundles: Vec<_> = bundles(&paths).iter().map(|path| path.display().to_string().replace(&root, "")).collect();
    assert_eq!(
        bundles,
        [
            "/run/quorate/drop/node.pem",
            "/etc/quorate/drop/node.pem",
            "/var/lib/quorate/drop/node.pem",
            "/run/quorate/collected/volume-QUORATE/node.pem",
            "/run/quorate/collected/volume-CIDATA/node.pem",
            "/run/quorate/collected/volume-config-2/node.pem",
            "/run/credentials/@system/quorate.node",
            "/run/quorate/collected/command-line/node.pem",
        ]
    );
}

#[test]
fn what_could_not_be_copied_is_told_beside_the_copy_that_stays() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let (slot, origin) = volume("QUORATE");
    collect(&paths, &slot, &origin);
    let collection = Collection::begin(&paths).unwrap();
    collection.complain(&slot, Lack::Refused, &origin, "it is damaged").unwrap();
    collection.complain(&Slot::CommandLine, Lack::Awaited, "kernel command line, /m.yaml", "there is none").unwrap();
    let (candidates, broken) = discover(&paths);
    assert_eq!(candidates.len(), 1);
    let told: Vec<_> = broken.iter().map(|broken| format!("{}: {}", broken.origin, broken.error)).collect();
    assert_eq!(
        told,
        ["volume /dev/disk/by-label/QUORATE: it is damaged", "kernel command line, /m.yaml: there is none"]
    );
    assert!(matches!(broken[1].error, pair::PairError::Awaited(_)));
    // What is not from a collection is not taken for one.
    fs::create_dir(paths.collected().join("volume-DATA")).unwrap();
    fs::write(paths.collected().join("other.refused"), "origin\nwhy\n").unwrap();
    assert_eq!((discover(&paths).0.len(), discover(&paths).1.len()), (1, 2));
}

#[test]
fn an_unsigned_copy_is_refused_under_the_name_of_its_volume() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::below(root.path());
    let (slot, origin) = volume("cidata");
    let files = [(DROPPED_MANIFEST, b"manifest".to_vec())];
    Collection::begin(&paths).unwrap().keep(&slot, &origin, &files).unwrap();
    let (candidates, broken) = discover(&paths);
    assert!(candidates.is_empty());
    assert_eq!(broken[0].origin.to_string(), "volume /dev/disk/by-label/cidata");
    assert!(broken[0].error.to_string().contains("is not signed: there is no "), "{}", broken[0].error);
}
