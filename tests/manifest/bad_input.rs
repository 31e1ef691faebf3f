//! Bad manifests and signatures: one file per reason, with exactly what is said and the exit code.

use super::{compare, here, inputs, keygen, quorate, transcript};
use std::fs;

#[test]
fn every_bad_manifest_is_explained() {
    let directory = here("tests/bad_input/manifest");
    let names = inputs(&directory, ".yaml");
    assert!(names.len() > 40, "only {} inputs: is the directory complete?", names.len());
    let mut faults = Vec::new();
    for name in &names {
        let output = quorate(&directory, &["check", name]);
        assert!(matches!(output.status.code(), Some(3 | 6)), "{name}: {output:?}");
        faults.extend(compare(&directory.join(name).with_extension("expected"), &transcript(&output)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn check_and_sign_refuse_with_the_same_exit_code_and_sign_writes_nothing() {
    let directory = here("tests/bad_input/manifest");
    let key = tempfile::tempdir().unwrap();
    let key_path = key.path().join("key");
    keygen(&["-q", "-t", "ed25519", "-N", "", "-f", key_path.to_str().unwrap()]);
    for name in inputs(&directory, ".yaml") {
        let check = quorate(&directory, &["check", &name]);
        let sign = quorate(&directory, &["sign", &name, "--key", key_path.to_str().unwrap()]);
        assert_eq!(check.status.code(), sign.status.code(), "{name}");
        assert_eq!(check.stderr, sign.stderr, "{name}");
        assert!(!directory.join(format!("{name}.sig")).exists(), "{name}");
    }
}

#[test]
fn diagnostics_for_programs_name_place_rule_and_remedy() {
    let directory = here("tests/bad_input/manifest");
    let output = quorate(&directory, &["check", "duplicate-address.yaml", "--json"]);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.stderr.is_empty());
    let finding = &report["findings"][0];
    assert_eq!(finding["rule"], "duplicate-address");
    assert_eq!(finding["field"], "spec.masters[2].address");
    assert_eq!(finding["place"], serde_json::json!({ "line": 16, "column": 28, "endLine": 16, "endColumn": 38 }));
    assert_eq!(finding["related"][0]["place"]["line"], 14);
    for key in ["file", "weight", "what", "why", "help"] {
        assert!(finding[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {finding}");
    }
}

#[test]
fn a_manifest_of_ten_megabytes_is_not_read() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("manifest.yaml"), "a".repeat(10_000_000)).unwrap();
    let output = quorate(place.path(), &["check"]);
    assert_eq!(
        transcript(&output),
        "error[too-large]: the file has more than 262144 bytes\n --> manifest.yaml:1:1\n  |\n1 |\n  | ^\n  |\n  = why: it is \
         read before anything in it can be believed, so there is a bound\n  = help: check that this is the manifest; the \
         largest sensible one has a few kilobytes\n\nquorate: invalid manifest: 1 finding\nexit code 6\n"
    );
}

#[test]
fn every_bad_signature_is_explained() {
    let directory = here("tests/bad_input/signature");
    let names = inputs(&directory, ".sig");
    assert!(names.len() >= 10, "only {} inputs: is the directory complete?", names.len());
    let mut faults = Vec::new();
    for name in &names {
        let arguments = ["verify", "manifest.yaml", "--signature", name, "--trust", "allowed_signers"];
        let output = quorate(&directory, &arguments);
        assert_eq!(output.status.code() == Some(0), name.starts_with("good"), "{name}: {output:?}");
        faults.extend(compare(&directory.join(name).with_extension("expected"), &transcript(&output)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_unsigned_manifest_is_not_trusted() {
    let output =
        quorate(&here("tests/bad_input/signature"), &["verify", "manifest.yaml", "--trust", "allowed_signers"]);
    assert_eq!(
        transcript(&output),
        "quorate: not trusted: 'manifest.yaml' is not signed: there is no 'manifest.yaml.sig'; sign it with 'quorate \
         sign'\nexit code 5\n"
    );
}

/// What editors and CI get is the same report: the same rules at the same places, each with its remedy.
#[test]
fn every_bad_manifest_is_explained_to_programs_as_well() {
    let directory = here("tests/bad_input/manifest");
    for name in inputs(&directory, ".yaml") {
        let output = quorate(&directory, &["check", &name, "--json"]);
        assert!(output.stderr.is_empty(), "{name}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = fs::read_to_string(directory.join(&name).with_extension("expected")).unwrap();
        let told: Vec<String> = report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .map(|finding| {
                let text = |key: &str| finding[key].as_str().unwrap().to_owned();
                for key in ["why", "help"] {
                    assert!(expected.contains(&text(key)), "{name}: {finding}");
                }
                let level = if finding["weight"] == "unsafe" { "refused" } else { "error" };
                let place = &finding["place"];
                format!("{level}[{}]: {} --> {name}:{}:{}", text("rule"), text("what"), place["line"], place["column"])
            })
            .collect();
        // Two lines of a report, joined: what is wrong, and where.
        let lines: Vec<&str> = expected.lines().collect();
        let shown: Vec<String> = lines
            .windows(2)
            .filter(|pair| pair[1].trim_start().starts_with("--> "))
            .map(|pair| format!("{} {}", pair[0], pair[1].trim_start()))
            .collect();
        assert_eq!(told, shown, "{name}");
        assert!(expected.ends_with(&format!("exit code {}\n", output.status.code().unwrap())), "{name}");
    }
}
