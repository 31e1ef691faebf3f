//! What every verb prints, in both forms, held by the files in `tests/verbs/expected`.
//!
//! `UPDATE=1 cargo test --test verbs` rewrites them; the difference is then read in review. What differs from run to run
//! (times, keys, this machine) is masked. Elsewhere: a plan in every state (`tests/plan`), a status in every state
//! (`tests/status`), every bad manifest and signature (`tests/bad_input`).

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the program under test has to be started")]

mod desk;
mod host;
mod schemas;

use regex_lite::Regex;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// The program in `place`, whose environment says nothing.
fn quorate(place: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate"))
        .args(arguments)
        .current_dir(place)
        .env_remove("SSH_AUTH_SOCK")
        .env_remove("JOURNAL_STREAM")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "110")
        .output()
        .unwrap()
}

/// Runs a command line and compares what it prints, and how it ends, with the file of that name.
fn expect(name: &str, place: &Path, arguments: &[&str]) {
    let output = quorate(place, arguments);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let [stdout, stderr] = [text(&output.stdout), text(&output.stderr)];
    let mut seen = format!("$ quorate {}\n{stdout}", arguments.join(" "));
    if !stderr.is_empty() {
        seen += &format!("--- stderr\n{stderr}");
    }
    seen += &format!("--- exit code {}\n", output.status.code().unwrap());
    let seen = masked(&seen.replace(place.to_str().unwrap(), "DIR"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/verbs/expected/{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, &seen).unwrap();
    }
    let expected = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        seen == expected,
        "{} is no longer what is printed; if that is meant, run with UPDATE=1.\n--- expected\n{expected}\n--- now\n{seen}",
        file.display()
    );
}

/// What differs from run to run or from machine to machine.
fn masked(text: &str) -> String {
    const MASKS: [(&str, &str); 10] = [
        (r#"seen \d+ s ago|"ageSeconds": \d+"#, "AGE"),
        (r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?Z", "TIME"),
        (r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}   #", "UUID   #"),
        (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:KEY"),
        (r"(?m)^ *\d+\.\d s|^ *\d+\.\ds", "   0.0s"),
        (r"it has [^;]*; correct", "it has FACTS; correct"),
        (r", \d+ bytes", ", SIZE bytes"),
        (r#""ca": "[0-9a-f]{64}""#, r#""ca": "DIGEST""#),
        (r"sha256:[0-9a-f]+|\b[0-9a-f]{64}  ", "DIGEST"),
        (r"(?m)^ +\d+  ", "    SIZE  "),
    ];
    MASKS.iter().fold(text.to_owned(), |text, (pattern, mask)| {
        Regex::new(pattern).unwrap().replace_all(&text, *mask).into_owned()
    })
}
