//! The verbs of the workstation and of the image build.

use super::{expect, quorate};
use std::fs;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A desk with the example as `manifest.yaml`, what shall follow it as `next.yaml`, and a key that may sign.
pub(super) fn desk() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/examples/three-masters.yaml");
    let manifest = fs::read_to_string(example).unwrap();
    let next = manifest.replace("generation: 1", "generation: 2").replace("100ms", "200ms");
    let even = next.replace("    - { name: m3", "    # - { name: m3");
    for (name, text) in [("manifest.yaml", manifest), ("next.yaml", next), ("even.yaml", even)] {
        fs::write(place.path().join(name), text).unwrap();
    }
    let key = place.path().join("id");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(&key).status();
    assert!(made.unwrap().success());
    let public = fs::read_to_string(key.with_extension("pub")).unwrap();
    fs::write(place.path().join("signers"), format!("ops@site namespaces=\"quorate-manifest\" {public}")).unwrap();
    place
}

#[test]
fn a_manifest_from_the_starter_to_the_signature() {
    let desk = desk();
    let at = desk.path();
    expect("init", at, &["init"]);
    expect("init-refused", at, &["init", "--masters", "4"]);
    for (form, json) in [("", &[][..]), ("-json", &["--json"][..])] {
        let with = |arguments: &[&'static str]| [arguments, json].concat();
        expect(&format!("check{form}"), at, &with(&["check"]));
        expect(&format!("check-refused{form}"), at, &with(&["check", "even.yaml"]));
        expect(&format!("check-against{form}"), at, &with(&["check", "manifest.yaml", "--against", "next.yaml"]));
        expect(&format!("diff{form}"), at, &with(&["diff", "manifest.yaml", "next.yaml"]));
        expect(&format!("diff-refused{form}"), at, &with(&["diff", "next.yaml", "manifest.yaml"]));
        expect(&format!("verify-unsigned{form}"), at, &with(&["verify", "--trust", "signers"]));
        expect(&format!("sign{form}"), at, &with(&["sign", "--key", "id"]));
        expect(&format!("verify{form}"), at, &with(&["verify", "--trust", "signers"]));
        fs::remove_file(at.join("manifest.yaml.sig")).unwrap();
        expect(&format!("tolerance{form}"), at, &with(&["tolerance"]));
        expect(&format!("tolerance-refused{form}"), at, &with(&["tolerance", "4"]));
    }
}

#[test]
fn keys_of_a_cluster() {
    let desk = desk();
    expect("pki-init", desk.path(), &["pki", "init"]);
    expect("pki-issue", desk.path(), &["pki", "issue", "manifest.yaml"]);
    expect("pki-issue-again", desk.path(), &["pki", "issue", "manifest.yaml"]);
    expect("pki-issue-json", desk.path(), &["pki", "issue", "manifest.yaml", "--json"]);
}

#[test]
fn an_image_tree() {
    let desk = desk();
    for directory in ["tree/usr/bin", "tree/usr/lib/systemd/system", "tree/etc"] {
        fs::create_dir_all(desk.path().join(directory)).unwrap();
    }
    fs::write(desk.path().join("tree/usr/lib/os-release"), "ID=debian\n").unwrap();
    fs::write(desk.path().join("vrrpd"), "the daemon").unwrap();
    let install = ["install", "--root", "tree", "--trust", "signers", "--vrrpd", "vrrpd"];
    expect("install-check", desk.path(), &[&install[..], &["--check"]].concat());
    expect("install", desk.path(), &install);
    expect("install-json", desk.path(), &[&install[..], &["--json"]].concat());
}

#[test]
fn help_of_every_verb_and_topic() {
    let desk = desk();
    expect("help", desk.path(), &["help"]);
    let help = quorate(desk.path(), &["help"]);
    let text = String::from_utf8(help.stdout).unwrap();
    let listed = |heading: &str| -> Vec<String> {
        let lines = text.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
        let words = lines.take_while(|line| line.starts_with("  ")).filter_map(|line| line.split_whitespace().next());
        words.map(str::to_owned).collect()
    };
    let (verbs, topics) = (listed("Commands:"), listed("Topics"));
    assert!(verbs.len() >= 16 && topics.len() == 4, "{verbs:?} {topics:?}");
    for word in verbs.iter().chain(&topics) {
        expect(&format!("help-{word}"), desk.path(), &["help", word]);
    }
    expect("man", desk.path(), &["man", "pages"]);
}

/// The five minutes of the README, typed as they stand there.
#[test]
fn the_readme_leads_from_nothing_to_an_image() {
    let place = tempfile::tempdir().unwrap();
    let at = |path: &str| place.path().join(path);
    for directory in [".ssh", "ROOT/usr/bin", "ROOT/usr/lib/systemd/system", "ROOT/etc"] {
        fs::create_dir_all(at(directory)).unwrap();
    }
    fs::write(at("ROOT/usr/lib/os-release"), "ID=debian\n").unwrap();
    let key = at(".ssh/id_ed25519");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "", "-f"]).arg(key).status();
    assert!(made.unwrap().success());
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, section) = readme.split_once("## Five minutes").unwrap();
    let block = section.split("```").nth(1).unwrap();
    let typed: Vec<&str> = block.trim().lines().filter(|line| !line.starts_with("cargo ")).collect();
    assert!(typed.len() >= 7, "{typed:?}");
    let programs = Path::new(env!("CARGO_BIN_EXE_quorate")).parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    for line in typed {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]).current_dir(place.path()).env("PATH", &path).env("HOME", place.path());
        let output = shell.output().unwrap();
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
    }
    assert!(at("ROOT/usr/bin/quorate").exists() && at("manifest.yaml.sig").exists());
}
