//! The JSON that the verbs print, held against the published schemas by a validator that is not ours.

use super::quorate;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Prints each file that does not fit, with the place in it.
const VALIDATE: &str = "
import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
for name in sys.argv[2:]:
    for fault in validator.iter_errors(json.load(open(name))):
        print(name, list(fault.path), fault.message[:200])
";

fn here(place: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(place)
}

/// What the validator has to say; nothing when there is none here.
fn faults(test: &str, schema: &str, files: &[PathBuf]) -> Option<String> {
    let there = Command::new("python3").args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
    if !there.is_ok_and(|status| status.success()) {
        println!("SKIPPED {test}: the validator is not installed (Debian package python3-jsonschema)");
        return None;
    }
    let output = Command::new("python3").args(["-c", VALIDATE]).arg(here(schema)).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn files(folder: &str, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(here(folder)).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().ends_with(end)).collect()
}

#[test]
fn every_plan_fits_its_schema() {
    let plans = files("tests/plan", ".json");
    assert!(plans.len() >= 8, "cases were lost");
    assert_eq!(faults("plans and their schema", "spec/plan.schema.json", &plans).unwrap_or_default(), "");
}

#[test]
fn every_status_fits_its_schema() {
    let cases: Vec<PathBuf> =
        fs::read_dir(here("tests/status/cases")).unwrap().map(|case| case.unwrap().path()).collect();
    let documents: Vec<PathBuf> =
        cases.iter().flat_map(|case| ["account.json", "status.json"].map(|file| case.join(file))).collect();
    assert!(documents.len() >= 24, "cases were lost");
    assert_eq!(faults("statuses and their schema", "spec/status.schema.json", &documents).unwrap_or_default(), "");
}

#[test]
fn a_key_that_no_schema_knows_is_found() {
    let place = tempfile::tempdir().unwrap();
    let odd = place.path().join("odd.json");
    for (schema, case) in [
        ("spec/plan.schema.json", "tests/plan/converged.json"),
        ("spec/status.schema.json", "tests/status/cases/converged/account.json"),
    ] {
        let text = fs::read_to_string(here(case)).unwrap().replacen('{', "{\"odd\": 1,", 1);
        fs::write(&odd, text).unwrap();
        let Some(found) = faults("a schema the other way round", schema, std::slice::from_ref(&odd)) else { return };
        assert!(found.contains("odd"), "{schema} lets anything pass");
    }
}

#[test]
fn the_program_prints_the_published_schemas() {
    for of in ["manifest", "plan", "status"] {
        let printed = quorate(Path::new("."), &["schema", of]).stdout;
        assert!(printed == fs::read(here(&format!("spec/{of}.schema.json"))).unwrap(), "{of}");
    }
}
