use super::*;
use crate::trust::MANIFEST_NAMESPACE;
use crate::trust::tests::{at, key, line, sign};
use std::fs;
use std::path::PathBuf;

pub(super) const EXAMPLE: &str = include_str!("../../../spec/examples/three-masters.yaml");

/// A host: a root with the trust files of its image.
pub(super) struct Host {
    pub(super) root: tempfile::TempDir,
}

impl Host {
    pub(super) fn new() -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        host.write(&host.paths().allowed_signers(), &line(&key(1), "ops", ""));
        host
    }

    pub(super) fn paths(&self) -> Paths {
        Paths::below(self.root.path())
    }

    pub(super) fn write(&self, path: &PathBuf, content: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn lay(&self, path: &PathBuf, manifest: &str) {
        self.lay_signed(path, manifest, 1);
    }

    fn lay_signed(&self, path: &PathBuf, manifest: &str, seed: u8) {
        self.write(path, manifest);
        let signature = sign(&key(seed), MANIFEST_NAMESPACE, manifest.as_bytes());
        self.write(&PathBuf::from(format!("{}.sig", path.display())), &signature);
    }

    /// Drops a manifest with its signature.
    fn drop(&self, manifest: &str) {
        self.drop_signed(manifest, 1);
    }

    /// Drops a manifest with the signature of one of the test keys.
    pub(super) fn drop_signed(&self, manifest: &str, seed: u8) {
        self.lay_signed(&self.paths().etc_drop().join("manifest.yaml"), manifest, seed);
    }

    pub(super) fn run(&self, mode: Mode) -> Intake {
        intake(&self.paths(), at("2026-11-22T21:00:00Z"), mode).unwrap()
    }

    /// Everything below `/var/lib/quorate`, to see that nothing changed.
    fn state(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.paths().state()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten() {
                let path = entry.unwrap().path();
                if path.is_symlink() {
                    files.push((path.clone(), fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()));
                } else if path.is_dir() {
                    folders.push(path);
                } else {
                    files.push((path.clone(), fs::read(&path).unwrap()));
                }
            }
        }
        files.sort();
        files
    }
}

pub(super) fn generation(number: u64) -> String {
    EXAMPLE.replace("generation: 1", &format!("generation: {number}"))
}

pub(super) fn in_force(intake: &Intake) -> Option<u64> {
    intake.in_force.as_ref().map(|in_force| in_force.manifest.get().generation.0)
}

#[test]
fn the_first_manifest_is_accepted_and_stays_in_force_when_its_source_vanishes() {
    let host = Host::new();
    let nothing = host.run(Mode::Store);
    assert!(nothing.in_force.is_none() && nothing.refused.is_empty());
    host.drop(EXAMPLE);
    let first = host.run(Mode::Store);
    assert_eq!(first.change, Change::Accepted { from: None, to: Generation(1) });
    assert_eq!(first.in_force.as_ref().unwrap().signers, ["ops"]);
    let again = host.run(Mode::Store);
    assert_eq!((in_force(&again), again.change.clone()), (Some(1), Change::Nothing));
    assert!(again.refused.is_empty(), "{:?}", again.refused);
    fs::remove_dir_all(host.paths().etc_drop()).unwrap();
    let later = host.run(Mode::Store);
    assert_eq!((in_force(&later), &later.change), (Some(1), &Change::Nothing));
    assert_eq!(later.in_force.unwrap().origin, host.paths().etc_drop().join("manifest.yaml").display().to_string());
}

#[test]
fn a_dry_run_says_what_would_be_accepted_and_changes_nothing() {
    let host = Host::new();
    host.drop(EXAMPLE);
    let dry = host.run(Mode::DryRun);
    assert_eq!((in_force(&dry), dry.change), (Some(1), Change::Accepted { from: None, to: Generation(1) }));
    assert!(host.state().is_empty());
}

#[test]
fn the_highest_generation_wins_wherever_it_lies() {
    let host = Host::new();
    host.lay(&host.paths().baked_manifest(), &generation(1));
    host.lay(&host.paths().system_credentials().join("quorate.manifest"), &generation(1));
    host.lay(&host.paths().run_drop().join("manifest.yaml"), &generation(2));
    host.lay(&host.paths().var_drop().join("manifest.yaml"), &generation(3));
    let result = host.run(Mode::Store);
    assert_eq!(in_force(&result), Some(3));
    assert!(result.refused.iter().all(|refused| !refused.class.needs_repair()), "{:?}", result.refused);
    assert_eq!(result.refused.len(), 3);
}

#[test]
fn a_manifest_may_come_as_a_system_credential() {
    let host = Host::new();
    host.lay(&host.paths().system_credentials().join("quorate.manifest"), EXAMPLE);
    let accepted = host.run(Mode::Store);
    assert_eq!(in_force(&accepted), Some(1));
    assert_eq!(accepted.in_force.unwrap().origin, "system credential quorate.manifest");
}

#[test]
fn every_refused_drop_leaves_the_last_good_manifest_in_force_and_the_store_untouched() {
    let tampered = |host: &Host| {
        host.drop(&generation(2));
        host.write(&host.paths().etc_drop().join("manifest.yaml"), &generation(3));
    };
    let unsigned = |host: &Host| {
        host.drop(&generation(2));
        fs::remove_file(host.paths().etc_drop().join("manifest.yaml.sig")).unwrap();
    };
    let signed_by = |number: u8, namespace: &'static str| {
        move |host: &Host| {
            host.write(&host.paths().etc_drop().join("manifest.yaml"), &generation(2));
            let signature = sign(&key(number), namespace, generation(2).as_bytes());
            host.write(&host.paths().etc_drop().join("manifest.yaml.sig"), &signature);
        }
    };
    let dropped = |from: &'static str, to: &'static str| move |host: &Host| host.drop(&generation(2).replace(from, to));
    type Drop = Box<dyn Fn(&Host)>;
    let table: Vec<(Drop, Class, &str)> = vec![
        (Box::new(unsigned), Class::NotTrusted, "is not signed"),
        (Box::new(tampered), Class::NotTrusted, "is not one of these bytes"),
        (Box::new(signed_by(2, MANIFEST_NAMESPACE)), Class::NotTrusted, "is not an allowed signer"),
        (Box::new(signed_by(1, "git")), Class::NotTrusted, "is for 'git' and not for 'quorate-manifest'"),
        (Box::new(dropped("routerId: 51", "routerid: 51")), Class::Invalid, "did you mean 'routerId'?"),
        (
            Box::new(dropped("10.20.0.100", "10.20.0.11")),
            Class::Invalid,
            "is the virtual IP and the address of a master",
        ),
        (Box::new(|host| host.drop(&(generation(2) + "---\n{}\n"))), Class::Invalid, "a second document begins here"),
        (
            Box::new(dropped("    - { name: m3, address: 10.20.0.13, identity: { hostname: m3 } }\n", "")),
            Class::Unsafe,
            "2 masters are refused",
        ),
        (Box::new(dropped("3f0c6a52", "00000000")), Class::Unsafe, "the manifest is for cluster 00000000"),
        (
            Box::new(|host| {
                host.drop(&generation(2).replace("10.20.0.11,", "10.20.0.21,").replace("10.20.0.12,", "10.20.0.22,"));
            }),
            Class::Unsafe,
            "'m1' and 'm2' are moved to another address at once",
        ),
        (Box::new(|host| host.drop(&generation(1002))), Class::Unsafe, "more than 1000 above 1"),
        (
            Box::new(|host| host.drop(&EXAMPLE.replace("routerId: 51", "routerId: 52"))),
            Class::Unsafe,
            "generation 1 was accepted with other content",
        ),
        (
            Box::new(|host| {
                let expired = "issuedAt: 2026-11-22T20:00:00Z\n  expiresAt: 2026-11-22T20:30:00Z";
                host.drop(&generation(2).replace("issuedAt: 2026-11-22T20:00:00Z", expired));
            }),
            Class::Stale,
            "expired at 2026-11-22T20:30:00Z",
        ),
    ];
    for (make, class, why) in table {
        let host = Host::new();
        host.drop(EXAMPLE);
        host.run(Mode::Store);
        let before = host.state();
        make(&host);
        let result = host.run(Mode::Store);
        assert_eq!((in_force(&result), &result.change), (Some(1), &Change::Nothing), "{why}");
        let [refused] = result.refused.as_slice() else { panic!("{why}: {:?}", result.refused) };
        assert_eq!(refused.class, class, "{refused:?}");
        assert!(refused.why.contains(why), "{}", refused.why);
        assert_eq!(host.state(), before, "{why}");
    }
}

#[test]
fn a_manifest_that_demands_a_newer_image_waits_for_it() {
    let demanding = |number: u64| generation(number).replace("  issuedAt", "  minImageVersion: \"7.10\"\n  issuedAt");
    let runs = |host: &Host, version: &str| {
        host.write(&host.paths().vendor_os_release(), &format!("ID=bareos\nIMAGE_VERSION={version}\n"));
    };
    let host = Host::new();
    host.drop(EXAMPLE);
    host.run(Mode::Store);
    host.drop(&demanding(2));
    let why = |result: &Intake| {
        assert_eq!((in_force(result), result.refused.len()), (Some(1), 1), "{:?}", result.refused);
        assert_eq!(result.refused[0].class, Class::Unsafe);
        result.refused[0].why.clone()
    };
    assert_eq!(
        why(&host.run(Mode::Store)),
        "'metadata.minImageVersion' demands image version 7.10, and this host does not know its own: os-release has no \
         IMAGE_VERSION; build the image with one (mkosi: 'ImageVersion='), or leave 'minImageVersion' out"
    );
    runs(&host, "7.9");
    assert_eq!(
        why(&host.run(Mode::Store)),
        "'metadata.minImageVersion' demands image version 7.10, this host runs 7.9; update the image of this host, the \
         manifest is accepted then by itself"
    );
    runs(&host, "7.10");
    assert_eq!(in_force(&host.run(Mode::Store)), Some(2));
    // An older image that is booted later is told, and takes nothing down.
    runs(&host, "7.9");
    let older = host.run(Mode::Store);
    assert_eq!(in_force(&older), Some(2));
    assert_eq!(
        older.notes,
        ["the manifest in force demands image version 7.10, this host runs 7.9; update the image of this host"]
    );
    // A later generation may do without.
    host.drop(&generation(3));
    assert_eq!(in_force(&host.run(Mode::Store)), Some(3));
}

#[test]
fn a_host_without_a_clock_learns_the_time_from_what_it_accepted() {
    let host = Host::new();
    host.drop(EXAMPLE);
    host.run(Mode::Store);
    let expired = "issuedAt: 2026-11-22T20:00:00Z\n  expiresAt: 2026-11-22T20:00:00Z";
    let expired = generation(2)
        .replace("issuedAt: 2026-11-22T20:00:00Z", expired)
        .replace("issuedAt: 2026-11-22", "issuedAt: 2026-11-21");
    host.drop(&expired);
    let unset = Clock { now: "1970-01-01T00:00:17Z".parse().unwrap(), trusted: false };
    let refused = intake(&host.paths(), unset, Mode::Store).unwrap();
    assert_eq!(in_force(&refused), Some(1));
    assert!(refused.refused[0].why.contains("expired at 2026-11-22T20:00:00Z"), "{:?}", refused.refused);
    assert!(refused.notes.iter().any(|note| note.contains("it says 2026-11-22T20:00:00Z")), "{:?}", refused.notes);
    // The same on a fresh host, which knows no better: it is taken.
    let fresh = Host::new();
    fresh.drop(&expired);
    assert_eq!(in_force(&intake(&fresh.paths(), unset, Mode::Store).unwrap()), Some(2));
}

#[test]
fn two_manifests_of_one_generation_are_both_refused() {
    let host = Host::new();
    host.drop(&generation(1));
    host.lay(&host.paths().run_drop().join("manifest.yaml"), &EXAMPLE.replace("routerId: 51", "routerId: 52"));
    let result = host.run(Mode::Store);
    assert!(result.in_force.is_none());
    assert_eq!(result.refused.len(), 2);
    assert!(result.refused.iter().all(|refused| refused.class == Class::Unsafe));
}

#[test]
fn the_stored_copy_is_verified_again_before_it_is_read() {
    let host = Host::new();
    host.drop(EXAMPLE);
    host.run(Mode::Store);
    fs::remove_dir_all(host.paths().etc_drop()).unwrap();
    host.write(&host.paths().manifests().join("current/manifest.yaml"), &generation(9));
    let result = host.run(Mode::Store);
    assert!(result.in_force.is_none());
    assert_eq!(result.refused[0].class, Class::NotTrusted);
    // Dropping the accepted generation again repairs it; an older one, or the same with other content, does not.
    host.drop(&EXAMPLE.replace("routerId: 51", "routerId: 52"));
    assert!(host.run(Mode::Store).in_force.is_none());
    host.drop(EXAMPLE);
    assert_eq!(in_force(&host.run(Mode::Store)), Some(1));
}

#[test]
fn a_run_killed_between_two_writes_is_finished_by_the_next() {
    let host = Host::new();
    host.drop(&generation(1));
    host.run(Mode::Store);
    let mark_of_one = fs::read(host.paths().ratchet()).unwrap();
    host.drop(&generation(2));
    host.run(Mode::Store);
    // Killed after switching, before the mark was written.
    fs::write(host.paths().ratchet(), &mark_of_one).unwrap();
    host.drop(&generation(1));
    let result = host.run(Mode::Store);
    assert_eq!(in_force(&result), Some(2));
    assert_eq!(result.refused[0].class, Class::Stale);
    // Killed before switching: the directory is there, nothing points to it.
    fs::remove_file(host.paths().manifests().join("current")).unwrap();
    std::os::unix::fs::symlink(
        format!("1-{}", crate::ident::Digest::of(generation(1).as_bytes())),
        host.paths().manifests().join("current"),
    )
    .unwrap();
    fs::write(host.paths().ratchet(), &mark_of_one).unwrap();
    host.drop(&generation(2));
    assert_eq!(in_force(&host.run(Mode::Store)), Some(2));
}

#[test]
fn a_key_that_expires_does_not_take_down_what_it_signed() {
    let host = Host::new();
    host.drop(EXAMPLE);
    host.run(Mode::Store);
    host.write(&host.paths().allowed_signers(), &line(&key(1), "ops", "valid-before=\"20261122Z\""));
    host.drop(&generation(2));
    let result = host.run(Mode::Store);
    assert_eq!(in_force(&result), Some(1));
    assert!(result.refused[0].why.contains("expired at"), "{:?}", result.refused);
}

#[test]
fn what_nobody_vouches_for_is_told() {
    let host = Host::new();
    host.write(&host.paths().allowed_signers(), &(line(&key(1), "ops", "") + "ops cert-authority ssh-ed25519 AAAA\n"));
    let clock = Clock { trusted: false, ..at("2026-11-22T21:00:00Z") };
    let notes = intake(&host.paths(), clock, Mode::DryRun).unwrap().notes;
    assert_eq!(notes.len(), 2, "{notes:?}");
    assert!(notes[0].contains("line 2 is not used"));
    assert!(notes[1].contains("nobody vouches for the clock"));
}
