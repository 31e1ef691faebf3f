//! A host says the same as the workstation, and what it refuses changes nothing.

use super::{Workstation, here, inputs, quorate};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// Everything below a directory, to see that nothing changed.
fn tree(root: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
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

/// A host below a directory, whose image trusts one key, with a manifest in force that names other hosts: so nothing
/// is done to the machine that runs the test.
struct Host {
    workstation: Workstation,
    root: tempfile::TempDir,
}

impl Host {
    /// A host that has accepted nothing yet.
    fn empty() -> Self {
        let host = Self { workstation: Workstation::new(), root: tempfile::tempdir().unwrap() };
        fs::create_dir_all(host.path("usr/lib/quorate/trust")).unwrap();
        fs::create_dir_all(host.path("etc/quorate/drop")).unwrap();
        host.trust(&host.workstation.place.path().join("allowed_signers"));
        host
    }

    fn new() -> Self {
        let host = Self::empty();
        let manifest = fs::read_to_string(here("spec/examples/three-masters.yaml")).unwrap();
        host.drop_signed(manifest.replace("hostname: m3", "serial: CZ-NOBODY").as_bytes());
        assert_eq!(host.run("reconcile").status.code(), Some(3), "it is none of the masters");
        assert!(host.path("var/lib/quorate/manifests/current/manifest.yaml").exists());
        host
    }

    fn path(&self, place: &str) -> PathBuf {
        self.root.path().join(place)
    }

    fn trust(&self, signers: &Path) {
        fs::copy(signers, self.path("usr/lib/quorate/trust/allowed_signers")).unwrap();
    }

    /// Drops bytes that are well signed, whatever they are.
    fn drop_signed(&self, bytes: &[u8]) {
        fs::write(self.workstation.place.path().join("manifest.yaml"), bytes).unwrap();
        self.workstation.openssh_signs("ed25519", "quorate-manifest");
        for name in ["manifest.yaml", "manifest.yaml.sig"] {
            fs::copy(self.workstation.place.path().join(name), self.path("etc/quorate/drop").join(name)).unwrap();
        }
    }

    fn run(&self, verb: &str) -> Output {
        let root = self.root.path().to_str().unwrap();
        let wait: &[&str] = if verb == "reconcile" { &["--wait", "0s"] } else { &[] };
        quorate(self.root.path(), &[&[verb, "--root", root], wait].concat())
    }
}

#[test]
fn a_host_refuses_what_check_refuses_and_keeps_what_is_in_force() {
    let host = Host::new();
    let before = tree(&host.path("var/lib/quorate"));
    let directory = here("tests/bad_input/manifest");
    for name in inputs(&directory, ".yaml") {
        host.drop_signed(&fs::read(directory.join(&name)).unwrap());
        let check = quorate(&directory, &["check", &name]);
        let reconcile = host.run("reconcile");
        assert_eq!(reconcile.status.code(), check.status.code(), "{name}: {reconcile:?}");
        assert_eq!(tree(&host.path("var/lib/quorate")), before, "{name}");
        // The whole message, without source lines: they may hold what does not belong in a journal.
        let told = String::from_utf8([reconcile.stdout, reconcile.stderr].concat()).unwrap();
        let expected = fs::read_to_string(directory.join(&name).with_extension("expected")).unwrap();
        let (_, what) = expected.lines().next().unwrap().split_once("]: ").unwrap();
        assert!(told.contains(what), "{name}: '{what}' is not in\n{told}");
        assert!(!told.contains("  |"), "{name}: {told}");
    }
    host.drop_signed("a".repeat(10_000_000).as_bytes());
    assert_eq!(host.run("reconcile").status.code(), Some(5), "it is too large to be looked at");
    assert_eq!(tree(&host.path("var/lib/quorate")), before);
}

#[test]
fn a_host_refuses_what_verify_refuses_and_keeps_what_is_in_force() {
    let host = Host::new();
    let before = tree(&host.path("var/lib/quorate"));
    let directory = here("tests/bad_input/signature");
    // Both lists: what is in force has to stay trusted.
    let ours = fs::read_to_string(host.workstation.place.path().join("allowed_signers")).unwrap();
    let theirs = fs::read_to_string(directory.join("allowed_signers")).unwrap();
    fs::write(host.path("usr/lib/quorate/trust/allowed_signers"), ours + &theirs).unwrap();
    fs::copy(directory.join("manifest.yaml"), host.path("etc/quorate/drop/manifest.yaml")).unwrap();
    let signature = host.path("etc/quorate/drop/manifest.yaml.sig");
    for name in inputs(&directory, ".sig").iter().filter(|name| !name.starts_with("good")) {
        fs::copy(directory.join(name), &signature).unwrap();
        let reconcile = host.run("reconcile");
        // A host takes a key that is not valid yet, because its clock may be behind; then the generation stops it.
        let expected = if name.starts_with("key-not-yet-valid") { 3 } else { 5 };
        assert_eq!(reconcile.status.code(), Some(expected), "{name}: {reconcile:?}");
        assert_eq!(tree(&host.path("var/lib/quorate")), before, "{name}");
    }
    fs::remove_file(&signature).unwrap();
    assert_eq!(host.run("reconcile").status.code(), Some(5), "unsigned");
    assert_eq!(tree(&host.path("var/lib/quorate")), before);
}

#[test]
fn neighbouring_lines_stay_out_of_what_a_host_says() {
    const SECRET: &str = "hunter2-and-a-half";
    let host = Host::new();
    let manifest = fs::read_to_string(here("spec/examples/three-masters.yaml")).unwrap();
    let beside = format!("routerId: 256 # {SECRET}\n    # {SECRET}");
    host.drop_signed(manifest.replace("generation: 1", "generation: 2").replace("routerId: 51", &beside).as_bytes());
    // A person at a terminal is shown the line itself.
    let check = quorate(host.workstation.place.path(), &["check"]);
    assert!(String::from_utf8(check.stderr).unwrap().contains(SECRET));
    let reconcile = host.run("reconcile");
    let told = String::from_utf8([reconcile.stdout, reconcile.stderr].concat()).unwrap();
    assert!(told.contains("'256' is not a virtual router id") && !told.contains(SECRET), "{told}");
    for (path, content) in tree(&host.path("run")) {
        assert!(!String::from_utf8_lossy(&content).contains(SECRET), "{}", path.display());
    }
}

/// Each pair is judged twice: by `check NEW --against OLD` on the workstation, and by a host that has OLD in force. The
/// two agree, to the word.
#[test]
fn the_workstation_and_the_host_judge_a_change_alike() {
    const MASTER_3: &str = "    - { name: m3, address: 10.20.0.13, identity: { serial: CZ-NOBODY } }\n";
    const MASTERS_4_5: &str = "    - { name: m4, address: 10.20.0.14, identity: { serial: CZ-4 } }\n    - { name: m5, \
                               address: 10.20.0.15, identity: { serial: CZ-5 } }\n";
    let three = fs::read_to_string(here("spec/examples/three-masters.yaml"))
        .unwrap()
        .replace("hostname: m3", "serial: CZ-NOBODY");
    let digest = quorate::ident::Digest::of(three.as_bytes());
    let next = three.replace("generation: 1", "generation: 2");
    let five = |text: &str| text.replace(MASTER_3, &format!("{MASTER_3}{MASTERS_4_5}"));
    let formed = |text: &str, id: &str| text.replace("phase: genesis", &format!("formed: {{ clusterId: \"{id}\" }}"));
    let single = |text: &str| {
        let one = text.replace("environment: production", "environment: test").replace(MASTER_3, "");
        one.lines().filter(|line| !line.contains("name: m2,")).map(|line| format!("{line}\n")).collect::<String>()
    };
    let renamed = |text: &str| text.replace("10.20.0.12,", "10.20.0.22,");
    let table: Vec<(&str, String, String, i32)> = vec![
        ("the same bytes", three.clone(), three.clone(), 0),
        ("a new generation", three.clone(), next.clone(), 0),
        ("an older generation", next.clone(), three.clone(), 3),
        ("other content", three.clone(), three.replace("routerId: 51", "routerId: 52"), 3),
        ("another cluster", three.clone(), next.replace("3f0c6a52", "00000000"), 3),
        ("a jump", three.clone(), three.replace("generation: 1", "generation: 1002"), 3),
        ("the longest step", three.clone(), three.replace("generation: 1", "generation: 1001"), 0),
        ("one replacement", three.clone(), renamed(&next), 0),
        ("two replacements", three.clone(), renamed(&next).replace("10.20.0.11,", "10.20.0.21,"), 3),
        ("3 to 5", three.clone(), five(&next), 0),
        ("5 to 3", five(&three), next.clone(), 0),
        ("3 to 5 with a replacement", three.clone(), renamed(&five(&next)), 3),
        ("1 to 3", single(&three), next.clone(), 3),
        ("1 to 5", single(&three), five(&next), 3),
        ("3 to 1", three.clone(), single(&next), 3),
        ("5 to 1", five(&three), single(&next), 3),
        ("3 to 1, knowingly", three.clone(), single(&next) + "  acknowledge: { singleMasterRemains: true }\n", 0),
        ("formed", three.clone(), formed(&next, "cdf818194e3a8c32"), 0),
        ("genesis again", formed(&three, "cdf818194e3a8c32"), next.clone(), 3),
        ("another etcd", formed(&three, "cdf818194e3a8c32"), formed(&next, "1"), 3),
        ("supersedes it", three.clone(), next.replace("  issuedAt", &format!("  supersedes: {digest}\n  issuedAt")), 0),
        (
            "supersedes another",
            three.clone(),
            next.replace("  issuedAt", &format!("  supersedes: {}\n  issuedAt", "0".repeat(64))),
            3,
        ),
    ];
    for (what, old, new, verdict) in table {
        let host = Host::empty();
        host.drop_signed(old.as_bytes());
        host.run("reconcile");
        let in_force = || fs::read_to_string(host.path("var/lib/quorate/manifests/current/manifest.yaml")).unwrap();
        assert_eq!(in_force(), old, "{what}");
        let place = host.workstation.place.path();
        fs::write(place.join("old.yaml"), &old).unwrap();
        fs::write(place.join("new.yaml"), &new).unwrap();
        let check = quorate(place, &["check", "new.yaml", "--against", "old.yaml"]);
        assert_eq!(check.status.code(), Some(verdict), "{what}: {check:?}");
        host.drop_signed(new.as_bytes());
        let reconcile = host.run("reconcile");
        assert_eq!(in_force() == new, verdict == 0, "{what}: {reconcile:?}");
        if verdict != 0 {
            let said = String::from_utf8(check.stderr).unwrap();
            let (_, why) = said.trim_end().split_once("may not follow 'old.yaml': ").unwrap();
            let told = String::from_utf8([reconcile.stdout, reconcile.stderr].concat()).unwrap();
            assert!(told.contains(why), "{what}: '{why}' is not in\n{told}");
        }
    }
}
