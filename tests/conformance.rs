//! Holds spec/vrrp.md to its word: every rule has a row, one of its tests is named after it, and every test named there exists.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Rules of each letter, as the reference numbers them.
const RULES: [(&str, usize); 6] = [("R", 20), ("T", 11), ("F", 20), ("D", 8), ("I", 4), ("B", 10)];

#[test]
fn every_rule_has_a_row_and_every_named_test_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut source = String::new();
    read(&root.join("src/vrrp"), &mut source);
    read(&root.join("tests/netns"), &mut source);
    let tests: BTreeSet<&str> =
        source.match_indices("fn ").filter_map(|(at, _)| source[at + 3..].split(['(', '<']).next()).collect();
    let spec = fs::read_to_string(root.join("spec/vrrp.md")).unwrap();
    let rows: Vec<Vec<&str>> = spec
        .lines()
        .filter(|line| line.starts_with("| "))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|row| row.len() == 5)
        .collect();
    let mut faults = Vec::new();
    for (letter, count) in RULES {
        for number in 1..=count {
            let rule = format!("{letter}{number}");
            match rows.iter().find(|row| row[0] == rule) {
                None => faults.push(format!("{rule} has no row")),
                // Without a test the status has to say why.
                Some(row) if row[3] == "—" && row[4] == "done" => {
                    faults.push(format!("{rule} is done without a test"))
                }
                Some(row) if row[3] != "—" && !row[3].split('`').any(|name| is_named_after(name, &rule)) => {
                    faults.push(format!("no test of {rule} is named after it"));
                }
                Some(_) => {}
            }
        }
    }
    for name in rows.iter().skip(1).flat_map(|row| row[3].split('`')).filter(|name| name.contains('_')) {
        if !tests.contains(name) {
            faults.push(format!("there is no test '{name}'"));
        }
    }
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// `r5_r11_r12_what_is_odd` is named after three rules.
fn is_named_after(test: &str, rule: &str) -> bool {
    test.split('_').any(|word| word.eq_ignore_ascii_case(rule))
}

fn read(folder: &Path, into: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn unsafe_code_is_allowed_in_the_sockets_of_the_daemon_and_nowhere_else() {
    let mut allowed = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.contains("(unsafe_code")) {
                allowed.push(path);
            }
        }
    }
    assert_eq!(allowed, [Path::new(env!("CARGO_MANIFEST_DIR")).join("src/vrrp/socket.rs")]);
}
