//! The cases and how one is compared with its files.

use jiff::Timestamp;
use quorate::status::Status;
use std::fs;
use std::path::{Path, PathBuf};

/// When all cases are read; each document carries its own time.
pub const NOW: &str = "2026-11-22T20:00:04Z";

/// One folder.
pub struct Case {
    pub name: String,
    pub folder: PathBuf,
    pub status: Status,
}

/// When the cases are read.
pub fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Every case, in the order of their names.
pub fn all() -> Vec<Case> {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/status/cases");
    let mut all: Vec<Case> = fs::read_dir(cases).unwrap().map(|entry| read(entry.unwrap().path())).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    assert!(all.len() >= 12, "cases were lost: {} are left", all.len());
    all
}

/// The case of that name.
pub fn named(name: &str) -> Case {
    all().into_iter().find(|case| case.name == name).unwrap()
}

fn read(folder: PathBuf) -> Case {
    let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(folder.join("status.json")).unwrap();
    let status = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}/status.json: {error}"));
    Case { name, folder, status }
}

impl Case {
    /// Compares `text` with the file, or rewrites the file when `UPDATE` is set.
    pub fn expect(&self, file: &str, text: &str) {
        let path = self.folder.join(file);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&path, text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            expected == text,
            "{}/{file} is no longer what is printed; if that is meant, run with UPDATE=1.\n--- expected\n{expected}\n--- now\n{text}",
            self.name
        );
    }
}
