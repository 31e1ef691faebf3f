//! What may become part of quorate: crates of crates.io under licences that go with Apache-2.0, one version of each where
//! that can be had. Needs nothing but cargo and what the build has fetched anyway.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Permissive licences; nobody who gets an image with quorate has to do more than keep the notices.
const LICENCES: [&str; 11] = [
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Crates that are there in several versions until those that need them meet. A new one is a cost that somebody has to
/// have looked at: `cargo tree --duplicates` says who asks for it.
const IN_SEVERAL_VERSIONS: [&str; 11] = [
    "base64",
    "bit-vec",
    "chacha20",
    "cpufeatures",
    "foldhash",
    "getrandom",
    "hashbrown",
    "itertools",
    "rand",
    "rand_core",
    "syn",
];

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// What cargo says of every crate that is built here.
fn packages() -> Vec<Value> {
    let version = Command::new(env!("CARGO")).args(["--version", "--verbose"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    match metadata["packages"].take() {
        Value::Array(packages) => packages,
        other => panic!("{other}"),
    }
}

#[test]
fn every_crate_has_a_licence_that_goes_with_ours() {
    let packages = packages();
    assert!(packages.len() > 100, "only {} crates: is this the whole list?", packages.len());
    let faults: Vec<String> = packages
        .iter()
        .filter(|package| package["license"].as_str().is_none_or(|licence| allowed(licence) != Ok(true)))
        .map(|package| format!("{} {}: {}", package["name"], package["version"], package["license"]))
        .collect();
    assert!(faults.is_empty(), "licences that are not in the list:\n{}", faults.join("\n"));
}

#[test]
fn every_crate_comes_from_crates_io() {
    // The lock file names the crates of every platform, not only of this one.
    let lock = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.lock")).unwrap();
    let sources: BTreeSet<&str> =
        lock.lines().filter_map(|line| line.strip_prefix("source = \"")?.strip_suffix('"')).collect();
    assert_eq!(sources, BTreeSet::from([CRATES_IO]));
    let crates = lock.matches("[[package]]").count();
    assert_eq!(lock.matches("\nsource = ").count(), crates - 1, "a crate that is neither ours nor from a registry");
    assert_eq!(lock.matches("\nchecksum = ").count(), crates - 1);
}

#[test]
fn every_crate_is_asked_for_by_version() {
    let packages = packages();
    let ours = packages.iter().find(|package| package["name"] == "quorate").unwrap();
    for dependency in ours["dependencies"].as_array().unwrap() {
        assert_ne!(dependency["req"], "*", "{}", dependency["name"]);
        assert!(dependency["path"].is_null(), "{}", dependency["name"]);
    }
}

#[test]
fn crates_in_several_versions_are_known() {
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for package in packages() {
        let [name, version] = ["name", "version"].map(|key| package[key].as_str().unwrap().to_owned());
        versions.entry(name).or_default().insert(version);
    }
    let several: Vec<(String, BTreeSet<String>)> = versions
        .into_iter()
        .filter(|(name, versions)| versions.len() > 1 && !IN_SEVERAL_VERSIONS.contains(&name.as_str()))
        .collect();
    assert!(several.is_empty(), "{several:?}: let one version go, or add the crate to the list in this file");
}

/// Whether an SPDX expression can be met with the licences above.
fn allowed(expression: &str) -> Result<bool, String> {
    // Before SPDX, crates.io wrote '/' for OR.
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut words = words.as_slice();
    let verdict = any(&mut words)?;
    if words.is_empty() { Ok(verdict) } else { Err(format!("'{}' is left over in '{expression}'", words.join(" "))) }
}

fn any(words: &mut &[&str]) -> Result<bool, String> {
    let mut verdict = all(words)?;
    while let ["OR", rest @ ..] = *words {
        *words = rest;
        verdict |= all(words)?;
    }
    Ok(verdict)
}

fn all(words: &mut &[&str]) -> Result<bool, String> {
    let mut verdict = one(words)?;
    while let ["AND", rest @ ..] = *words {
        *words = rest;
        verdict &= one(words)?;
    }
    Ok(verdict)
}

fn one(words: &mut &[&str]) -> Result<bool, String> {
    match *words {
        ["(", rest @ ..] => {
            *words = rest;
            let verdict = any(words)?;
            let [")", rest @ ..] = *words else { return Err("a bracket is not closed".into()) };
            *words = rest;
            Ok(verdict)
        }
        [licence, "WITH", exception, rest @ ..] => {
            *words = rest;
            Ok(LICENCES.contains(&format!("{licence} WITH {exception}").as_str()))
        }
        [licence, rest @ ..] if !matches!(*licence, "AND" | "OR" | "WITH" | ")") => {
            *words = rest;
            Ok(LICENCES.contains(licence))
        }
        other => Err(format!("a licence is missing before '{}'", other.join(" "))),
    }
}

#[test]
fn an_expression_is_met_when_one_of_its_choices_is_allowed_as_a_whole() {
    let table = [
        ("MIT", Ok(true)),
        ("GPL-3.0-only", Ok(false)),
        ("GPL-3.0-only OR MIT", Ok(true)),
        ("MIT/Apache-2.0", Ok(true)),
        ("MIT AND GPL-3.0-only", Ok(false)),
        ("(MIT OR GPL-3.0-only) AND ISC", Ok(true)),
        ("MIT OR GPL-3.0-only AND LGPL-3.0-only", Ok(true)),
        ("(MIT OR Apache-2.0) AND OpenSSL", Ok(false)),
        ("Apache-2.0 WITH LLVM-exception", Ok(true)),
        ("GPL-2.0-only WITH Classpath-exception-2.0", Ok(false)),
    ];
    for (expression, expected) in table {
        assert_eq!(allowed(expression), expected, "{expression}");
    }
    for nonsense in ["", "MIT OR", "MIT Apache-2.0", "(MIT"] {
        assert!(allowed(nonsense).is_err(), "{nonsense:?}");
    }
}
