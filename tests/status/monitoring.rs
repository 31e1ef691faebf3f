//! The files of `monitoring/`, checked by Prometheus' own promtool and against what quorate really exports.

#![allow(clippy::disallowed_methods, reason = "promtool is the peer that these tests ask")]

use super::cases::all;
use quorate::status::metrics;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn monitoring(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("monitoring").join(file)
}

/// promtool, or nothing after saying that the test is skipped.
fn promtool(test: &str) -> Option<Command> {
    let there = Command::new("promtool").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !there {
        println!("SKIPPED {test}: promtool is not installed (Debian package prometheus)");
    }
    there.then(|| Command::new("promtool"))
}

fn passes(mut promtool: Command) {
    let output = promtool.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&said));
}

#[test]
fn promtool_finds_nothing_wrong_with_the_metrics_of_any_case() {
    for case in all() {
        let Some(mut promtool) = promtool("promtool check metrics") else { return };
        promtool.args(["check", "metrics"]).stdin(File::open(case.folder.join("metrics.prom")).unwrap());
        passes(promtool);
    }
}

#[test]
fn promtool_finds_metrics_that_break_the_conventions() {
    let Some(mut promtool) = promtool("promtool check metrics, the other way round") else { return };
    let place = tempfile::tempdir().unwrap();
    let wrong = place.path().join("wrong.prom");
    fs::write(&wrong, "# HELP quorate_moves Moves.\n# TYPE quorate_moves counter\nquorate_moves 1\n").unwrap();
    let output = promtool.args(["check", "metrics"]).stdin(File::open(wrong).unwrap()).output().unwrap();
    assert!(!output.status.success(), "promtool no longer tells; the test above would pass on anything");
}

#[test]
fn each_alert_fires_when_it_should_and_only_then() {
    let Some(mut promtool) = promtool("promtool test rules") else { return };
    promtool.args(["test", "rules"]).arg(monitoring("quorate.rules.test.yaml"));
    passes(promtool);
}

#[test]
fn each_alert_has_its_tests_and_its_place_in_the_runbook() {
    let rules = fs::read_to_string(monitoring("quorate.rules.yaml")).unwrap();
    let tests = fs::read_to_string(monitoring("quorate.rules.test.yaml")).unwrap();
    let runbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/operations.md")).unwrap();
    let alerts: Vec<&str> = rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect();
    assert!(alerts.len() >= 15);
    for alert in alerts {
        assert!(tests.contains(&format!("alertname: {alert}\n")), "{alert} has no test");
        assert!(
            rules.contains(&format!("spec/operations.md#{}\"", alert.to_lowercase())),
            "{alert} has no runbook_url"
        );
        assert!(runbook.contains(&format!("### {alert}\n")), "{alert} is not in spec/operations.md");
    }
}

/// The metric names that quorate exports, over all cases.
fn exported() -> BTreeSet<String> {
    let all: String = all().iter().map(|case| metrics::render(&case.status)).collect();
    all.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect()
}

/// The metric names that stand in `text`.
fn named(text: &str) -> BTreeSet<String> {
    let word = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    text.split(word).filter(|word| word.starts_with("quorate_")).map(str::to_owned).collect()
}

#[test]
fn rules_and_dashboard_ask_only_for_metrics_that_exist() {
    let exported = exported();
    for file in ["quorate.rules.yaml", "quorate.rules.test.yaml", "quorate.dashboard.json"] {
        let named = named(&fs::read_to_string(monitoring(file)).unwrap());
        assert!(!named.is_empty(), "{file}");
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(unknown.is_empty(), "{file} asks for {unknown:?}");
    }
}

#[test]
fn the_runbook_explains_every_metric_and_no_other() {
    let runbook = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/operations.md")).unwrap();
    let explained = runbook.lines().filter_map(|line| line.strip_prefix("| `quorate_")?.split(['`', '{']).next());
    assert_eq!(explained.map(|name| format!("quorate_{name}")).collect::<BTreeSet<_>>(), exported());
}

#[test]
fn the_dashboard_has_panels_that_lie_side_by_side_and_ask_one_cluster() {
    let text = fs::read_to_string(monitoring("quorate.dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has an id of its own");
    let mut taken = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        let side = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(side("x") + side("w") <= 24, "{title} is wider than the grid");
        for x in side("x")..side("x") + side("w") {
            for y in side("y")..side("y") + side("h") {
                assert!(taken.insert((x, y)), "{title} lies on another panel");
            }
        }
        assert!(!panel["description"].as_str().unwrap().is_empty(), "{title} is not explained");
        for target in panel["targets"].as_array().unwrap() {
            assert!(target["expr"].as_str().unwrap().contains("cluster=\"$cluster\""), "{title} mixes clusters");
        }
    }
}

#[test]
fn promtool_reads_every_query_of_the_dashboard() {
    let Some(mut promtool) = promtool("promtool check rules, on the dashboard") else { return };
    let text = fs::read_to_string(monitoring("quorate.dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let annotations = dashboard["annotations"]["list"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let targets = targets.chain(annotations.iter().filter(|annotation| annotation["expr"].is_string()));
    // JSON is YAML: each query as a recording rule is what promtool can parse offline.
    let rules: Vec<Value> = targets
        .enumerate()
        .map(|(at, target)| serde_json::json!({ "record": format!("panel:{at}"), "expr": target["expr"] }))
        .collect();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("panels.yaml");
    let groups = serde_json::json!({ "groups": [{ "name": "panels", "rules": rules }] });
    fs::write(&file, groups.to_string()).unwrap();
    promtool.args(["check", "rules"]).arg(file);
    passes(promtool);
}
