//! The JSON Schema as an editor uses it, held against the parser: what one refuses, the other refuses.
//!
//! The schema can say what a single value looks like, not what must hold between values; [`BETWEEN`] lists the rules
//! that it cannot say. It is stricter in one point, on purpose: text that looks like a number has to be in quotes,
//! because other readers of YAML would make a number of it.

use super::{here, inputs};
use quorate::manifest::{parse, schema};
use quorate::yaml::{self, Node, Value};
use serde_json::{Value as Json, json};
use std::fs;

/// Rules about the text itself, before any schema is asked.
const TEXT: [&str; 10] = [
    "anchor",
    "duplicate-key",
    "empty",
    "merge-key",
    "not-utf8",
    "second-document",
    "syntax",
    "tag",
    "too-deep",
    "too-large",
];

/// Rules that look at more than one value, or at what a value means.
const BETWEEN: [&str; 20] = [
    "address-in-cluster-range",
    "advertise-interval",
    "duplicate-address",
    "duplicate-identity",
    "duplicate-name",
    "empty-identity",
    "etcd-phase",
    "expires-before-issued",
    "master-count",
    "no-vip",
    "preempt-delay",
    "probe-interval",
    "probe-target",
    "recovery-from",
    "recovery-window",
    "unicast-family",
    "unusable-address",
    "vip-family",
    "vip-is-master",
    "vrrp-version",
];

/// Inputs whose mistake is what vendors print on many machines, which only the parser knows.
const OF_VENDORS: [&str; 1] = ["placeholder-identity.yaml"];

/// The rules of single values: schema and parser have to agree on them.
const SINGLE: [&str; 5] = ["missing-key", "out-of-bounds", "unknown-key", "wrong-type", "wrong-value"];

fn validator() -> jsonschema::Validator {
    jsonschema::options().should_validate_formats(true).build(&schema::schema()).unwrap()
}

/// The document as an editor hands it to its validator.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Value::Text(text) => json!(text),
        Value::Sequence(items) => items.iter().map(json).collect(),
        Value::Mapping(entries) => Json::Object(
            entries
                .iter()
                .map(|(key, value)| match &key.value {
                    Value::Text(text) | Value::Number(text) => (text.clone(), json(value)),
                    other => (format!("a key that is {}", other.kind()), json(value)),
                })
                .collect(),
        ),
    }
}

/// The rules that the parser finds broken.
fn broken(text: &[u8]) -> Vec<&'static str> {
    match parse::parse("manifest.yaml", text) {
        Ok(_) => Vec::new(),
        Err(findings) => findings.list().iter().map(|finding| finding.rule).collect(),
    }
}

#[test]
fn an_editor_takes_every_example() {
    let validator = validator();
    let directory = here("spec/examples");
    for name in inputs(&directory, ".yaml") {
        let text = fs::read_to_string(directory.join(&name)).unwrap();
        let document = json(&yaml::document(&text).unwrap());
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn an_editor_underlines_every_bad_input_that_a_schema_can_express() {
    let validator = validator();
    let directory = here("tests/bad_input/manifest");
    let mut underlined = 0;
    for name in inputs(&directory, ".yaml") {
        let bytes = fs::read(directory.join(&name)).unwrap();
        let rules = broken(&bytes);
        for rule in &rules {
            let known = TEXT.contains(rule) || BETWEEN.contains(rule) || SINGLE.contains(rule);
            assert!(known, "{name}: rule '{rule}' is on none of the lists of this file");
        }
        let Some(node) = std::str::from_utf8(&bytes).ok().and_then(|text| yaml::document(text).ok()) else { continue };
        if rules.iter().any(|rule| TEXT.contains(rule)) {
            continue;
        }
        let expected = rules.iter().any(|rule| SINGLE.contains(rule)) && !OF_VENDORS.contains(&name.as_str());
        underlined += usize::from(expected);
        let document = json(&node);
        let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
        assert_eq!(!errors.is_empty(), expected, "{name}: the parser says {rules:?}, the schema {errors:?}");
    }
    assert!(underlined >= 10, "only {underlined} inputs were for the schema");
}

/// Every value of an example is replaced by every kind of nonsense, one at a time.
#[test]
fn schema_and_parser_agree_on_every_value_in_every_place() {
    let validator = validator();
    let nonsense = [
        Json::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(1.5),
        json!(1e30),
        json!(""),
        json!(" "),
        json!("x y"),
        json!("é"),
        json!("a/b"),
        json!("1s"),
        json!("10.20.0.1"),
        json!("10.020.0.1"),
        json!("10.20.0.0/16"),
        json!("fd00::1"),
        json!("2026-13-01T00:00:00Z"),
        json!("https://10.20.0.1/livez"),
        json!("http://127.0.0.1"),
        json!([]),
        json!({}),
        json!([null]),
        json!({ "x": 1 }),
    ];
    let mut places = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    let directory = here("spec/examples");
    for name in inputs(&directory, ".yaml") {
        let text = fs::read_to_string(directory.join(&name)).unwrap();
        let example = json(&yaml::document(&text).unwrap());
        pointers("", &example, &mut places);
        // A place that another example has had already teaches nothing new.
        for place in places.drain(..).filter(|place| seen.insert(place.clone())) {
            for value in &nonsense {
                let mut document = example.clone();
                *document.pointer_mut(&place).unwrap() = value.clone();
                // JSON is YAML.
                let rules = broken(document.to_string().as_bytes());
                let refused = rules.iter().any(|rule| SINGLE.contains(rule));
                let errors: Vec<String> = validator.iter_errors(&document).map(|error| error.to_string()).collect();
                let number_for_text = value.is_number() && !errors.is_empty() && !refused;
                assert!(
                    refused != errors.is_empty() || number_for_text,
                    "{name}: {place} = {value}: the parser says {rules:?}, the schema {errors:?}"
                );
            }
        }
    }
}

/// Every place below a value, as JSON pointers.
fn pointers(place: &str, value: &Json, into: &mut Vec<String>) {
    let children: Vec<(String, &Json)> = match value {
        Json::Object(map) => map.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Json::Array(list) => list.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let place = format!("{place}/{key}");
        pointers(&place, child, into);
        into.push(place);
    }
}
