//! Holds spec/vrrp.md to its word: every rule has a row, and every test named there exists.

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
