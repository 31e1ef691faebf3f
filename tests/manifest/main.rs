//! The manifest and its signatures, through the real program: as a person at a workstation and as a host meet them.
//!
//! `UPDATE=1 cargo test --test manifest` writes the expectations anew; read the difference before committing it.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod bad_input;
mod diff;
mod host;
mod pages;
mod schema;

mod signing;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const QUORATE: &str = env!("CARGO_BIN_EXE_quorate");

fn here(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(place)
}

/// Runs quorate in a directory, so that messages show names that are the same everywhere.
fn quorate(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(QUORATE)
        .args(arguments)
        .current_dir(directory)
        .env_remove("SSH_AUTH_SOCK")
        .env("NO_COLOR", "1")
        .output()
        .unwrap()
}

/// What people see, and the exit code.
fn transcript(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let seen = format!("{}{}exit code {}\n", text(&output.stdout), text(&output.stderr), output.status.code().unwrap());
    // The only thing that differs from run to run.
    match seen.split_once(", it is ").filter(|(before, _)| before.contains("is valid only from")) {
        Some((before, after)) => format!("{before}, it is NOW{}", &after[after.find(';').unwrap_or(0)..]),
        None => seen,
    }
}

/// Compares with the expectation beside the input, or writes it; returns what differs.
fn compare(expected: &Path, seen: &str) -> Option<String> {
    if std::env::var_os("UPDATE").is_some() {
        fs::write(expected, seen).unwrap();
    }
    let wanted = fs::read_to_string(expected).unwrap_or_default();
    (wanted != seen).then(|| format!("--- {}\n{wanted}\n+++ seen\n{seen}", expected.display()))
}

/// The inputs of a directory in the order of names.
fn inputs(directory: &Path, suffix: &str) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(directory)
        .unwrap()
        .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
        .filter(|name| name.ends_with(suffix))
        .collect();
    names.sort();
    names
}

fn keygen(arguments: &[&str]) -> Output {
    let output = Command::new("ssh-keygen").args(arguments).output().unwrap();
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {output:?}");
    output
}

/// Keys of every type that ssh-keygen can make here, with a list of signers and a starter manifest.
struct Workstation {
    place: tempfile::TempDir,
}

const KEY_TYPES: [(&str, &[&str]); 2] = [("ed25519", &[]), ("ecdsa", &["-b", "256"])];

impl Workstation {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        let mut signers = String::new();
        for (kind, options) in KEY_TYPES {
            let path = place.path().join(kind);
            let path = path.to_str().unwrap();
            keygen(&[&["-q", "-t", kind, "-N", "", "-f", path], options].concat());
            let public = fs::read_to_string(format!("{path}.pub")).unwrap();
            signers.push_str(&format!("{kind}@site namespaces=\"quorate-manifest\" {public}"));
        }
        fs::write(place.path().join("allowed_signers"), signers).unwrap();
        let starter = quorate(place.path(), &["init"]);
        fs::write(place.path().join("manifest.yaml"), starter.stdout).unwrap();
        Self { place }
    }

    fn quorate(&self, arguments: &[&str]) -> Output {
        quorate(self.place.path(), arguments)
    }

    /// Whether `ssh-keygen -Y verify` accepts the signature.
    fn openssh_accepts(&self, identity: &str, namespace: &str) -> bool {
        let manifest = fs::File::open(self.place.path().join("manifest.yaml")).unwrap();
        Command::new("ssh-keygen")
            .args(["-Y", "verify", "-f", "allowed_signers", "-I", identity, "-n", namespace, "-s", "manifest.yaml.sig"])
            .current_dir(self.place.path())
            .stdin(manifest)
            .output()
            .unwrap()
            .status
            .success()
    }

    fn openssh_signs(&self, key: &str, namespace: &str) {
        let _ = fs::remove_file(self.place.path().join("manifest.yaml.sig"));
        let path = |name: &str| self.place.path().join(name).to_str().unwrap().to_owned();
        keygen(&["-q", "-Y", "sign", "-n", namespace, "-f", &path(key), &path("manifest.yaml")]);
    }
}
