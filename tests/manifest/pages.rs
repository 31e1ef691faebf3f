//! spec/manifest.md and the examples, held to what the program does.

use super::{here, inputs, quorate};
use std::fs;

#[test]
fn every_example_is_accepted_with_the_digest_it_was_published_with() {
    let directory = here("spec/examples");
    let names = inputs(&directory, ".yaml");
    let published = fs::read_to_string(directory.join("SHA256SUMS")).unwrap();
    for name in &names {
        let output = quorate(&directory, &["check", name, "--json"]);
        assert_eq!(output.status.code(), Some(0), "{name}: {output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let line = format!("{}  {name}", report["digest"].as_str().unwrap());
        assert!(published.lines().any(|known| known == line), "'{line}' is not in spec/examples/SHA256SUMS");
    }
    assert_eq!(published.lines().count(), names.len());
}

/// The rows of the table of fields, from the schema that the program prints.
fn field_rows(path: &str, schema: &serde_json::Value, rows: &mut String) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(serde_json::Value::as_str).collect();
    for (key, value) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        let text = value["description"].as_str().unwrap();
        let (text, default) = match text.split_once(" When left out: ") {
            Some((text, default)) => (text, default.trim_end_matches('.')),
            None => (text, if required.contains(&key.as_str()) { "required" } else { "" }),
        };
        let kind = match (&value["enum"], value["type"].as_str()) {
            (serde_json::Value::Array(words), _) => {
                words.iter().map(|word| format!("`{}`", word.as_str().unwrap())).collect::<Vec<_>>().join(" or ")
            }
            (_, Some("integer")) => format!("{} to {}", value["minimum"], value["maximum"]),
            (_, Some("array")) => "list".into(),
            (_, Some("object")) => "keys below".into(),
            (_, Some("boolean")) => "`true` or `false`".into(),
            _ => format!("like `{}`", example(value)),
        };
        let text = text.replace('|', "\\|");
        rows.push_str(&format!("| `{path}` | {kind} | {default} | {text} |\n"));
        field_rows(&path, value, rows);
        if value["items"].is_object() {
            field_rows(&format!("{path}[]"), &value["items"], rows);
        }
    }
}

/// The first example of a schema, without the words around it.
fn example(schema: &serde_json::Value) -> &str {
    let text = schema["examples"][0].as_str().unwrap();
    text.split([',']).next().unwrap().trim_end_matches(" in quotes")
}

#[test]
fn the_page_for_administrators_lists_every_field() {
    let schema: serde_json::Value = serde_json::from_slice(&quorate(&here("."), &["schema"]).stdout).unwrap();
    let mut rows = "\n| field | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    field_rows("", &schema, &mut rows);
    let path = here("spec/manifest.md");
    let page = fs::read_to_string(&path).unwrap();
    let start = page.find("writes this table -->\n").unwrap() + "writes this table -->\n".len();
    let end = page.find("<!-- end of fields -->").unwrap();
    let wanted = format!("{}{rows}\n{}", &page[..start], &page[end..]);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &wanted).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap() == wanted, "the table is old: UPDATE=1 cargo test --test manifest");
}

#[test]
fn the_page_for_administrators_maps_every_rule_to_a_file_and_back() {
    let page = fs::read_to_string(here("spec/manifest.md")).unwrap();
    let table = &page[page.find("## What the file alone decides").unwrap()..];
    let directory = here("tests/bad_input/manifest");
    for name in inputs(&directory, ".expected") {
        let stem = name.trim_end_matches(".expected");
        for line in fs::read_to_string(directory.join(&name)).unwrap().lines() {
            let Some((_, rest)) = line.split_once('[').filter(|(level, _)| matches!(*level, "error" | "refused"))
            else {
                continue;
            };
            let rule = rest.split(']').next().unwrap();
            let row = table.lines().find(|row| row.starts_with(&format!("| `{rule}` |")));
            assert!(row.is_some_and(|row| row.contains(&format!("`{stem}`"))), "{rule} of {stem} is not in the table");
        }
    }
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let files = row.rsplit('|').nth(1).unwrap().split(',').map(|file| file.trim().trim_matches('`'));
        for file in files {
            let is_test = file.contains('_');
            assert!(is_test || directory.join(format!("{file}.yaml")).exists(), "no such file: {file}");
        }
    }
}

/// A name in backticks with an underscore is a test; one that is cut short with '…' begins like one.
#[test]
fn every_test_that_the_page_names_exists() {
    let mut source = String::new();
    let mut folders = vec![here("src"), here("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                source += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let tests: Vec<&str> =
        source.match_indices("fn ").filter_map(|(at, _)| source[at + 3..].split(['(', '<']).next()).collect();
    let page = fs::read_to_string(here("spec/manifest.md")).unwrap();
    let is_name = |word: &&str| {
        word.contains('_') && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_…".contains(c))
    };
    // The names of files that are no tests.
    let others = ["allowed_signers", "write_files", "fw_cfg", "bad_input"];
    let named: Vec<&str> =
        page.split('`').skip(1).step_by(2).filter(is_name).filter(|word| !others.contains(word)).collect();
    assert!(named.len() > 60, "only {} names", named.len());
    let exists = |name: &str| match name.strip_suffix('…') {
        Some(beginning) => tests.iter().any(|test| test.starts_with(beginning)),
        None => tests.contains(&name),
    };
    let missing: Vec<&str> = named.into_iter().filter(|name| !exists(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    for (at, start) in page.match_indices("`signature/") {
        let file = page[at + start.len()..].split('`').next().unwrap();
        assert!(here("tests/bad_input/signature").join(file).with_extension("sig").exists(), "{file}");
    }
}
