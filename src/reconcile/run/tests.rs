//! Whole runs on hosts below a directory, none of which gets as far as changing anything outside of it.

use super::*;
use crate::ident::Generation;
use crate::trust::MANIFEST_NAMESPACE;
use crate::trust::tests::{key, line, sign};
use std::fs;
use std::path::Path;

/// Signed by whom the host trusts; it names other hosts only.
fn lay(path: &Path, generation: u64) {
    let example = include_str!("../../../spec/examples/three-masters.yaml");
    let manifest = example
        .replace("generation: 1", &format!("generation: {generation}"))
        .replace("hostname: m3", "serial: CZ-NOBODY");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // The signature first: a manifest without one is waited for.
    fs::write(path.with_extension("yaml.sig"), sign(&key(1), MANIFEST_NAMESPACE, manifest.as_bytes())).unwrap();
    fs::write(path, manifest).unwrap();
}

#[tokio::test]
async fn a_run_that_ends_for_any_reason_looks_whether_something_arrived_meanwhile() {
    for (why, in_force) in [("there is no manifest", None), ("the manifest names other hosts", Some(1))] {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        fs::create_dir_all(paths.allowed_signers().parent().unwrap()).unwrap();
        fs::write(paths.allowed_signers(), line(&key(1), "ops", "")).unwrap();
        if let Some(generation) = in_force {
            lay(&paths.baked_manifest(), generation);
        }
        let mut options = Options { paths: paths.clone(), patience: Duration::ZERO, trial: None };
        let mut intakes = 0;
        let mut hear = |told: Told<'_>| match told {
            Told::Intake(_) => intakes += 1,
            // Everything was read by now: only another pass can see this.
            Told::Blocked(_) if intakes == 1 => lay(&paths.run_drop().join("manifest.yaml"), 2),
            _ => {}
        };
        let manifest = run(&mut options, &mut hear).await.unwrap().status.manifest;
        assert_eq!((intakes, manifest.map(|manifest| manifest.generation)), (2, Some(Generation(2))), "{why}");
    }
}
