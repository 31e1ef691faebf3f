//! The rows of the report, and the three forms it takes: a table for the terminal, JSON for programs, Markdown for `spec/benchmarks.md`.

use super::statistics::Summary;
use serde_json::json;
use std::fmt::Write;

/// Which figure the limit applies to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    Median,
    Maximum,
}

/// What has to be reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    pub value: f64,
    pub judged: Judged,
    pub peer: AgainstPeer,
}

/// Whether keepalived is a limit too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgainstPeer {
    /// Our median must not exceed its median.
    NoWorse,
    Whatever,
}

/// One line of the report: one measurement of both daemons.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    pub name: String,
    pub unit: &'static str,
    pub ours: Option<Summary>,
    pub peer: Option<Summary>,
    /// None for a figure that is shown and not judged.
    pub limit: Option<Limit>,
    /// Runs of ours that gave no figure.
    pub failed: usize,
}

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Reached,
    Missed,
    NotJudged,
}

impl Row {
    pub fn verdict(&self) -> Verdict {
        let Some(limit) = self.limit else { return Verdict::NotJudged };
        let Some(ours) = self.ours else { return Verdict::Missed };
        let judged = match limit.judged {
            Judged::Median => ours.median,
            Judged::Maximum => ours.max,
        };
        let worse = limit.peer == AgainstPeer::NoWorse && self.peer.is_some_and(|peer| ours.median > peer.median);
        if judged <= limit.value && !worse && self.failed == 0 { Verdict::Reached } else { Verdict::Missed }
    }

    fn ratio(&self) -> Option<f64> {
        let (ours, peer) = (self.ours?.median, self.peer?.median);
        (peer != 0.0).then(|| ours / peer)
    }

    fn json(&self) -> serde_json::Value {
        let spread = |summary: Option<Summary>| {
            summary.map(|it| json!({ "median": it.median, "p90": it.p90, "max": it.max, "runs": it.runs }))
        };
        json!({
            "name": self.name,
            "ours": self.ours.map(|it| it.median),
            "peer": self.peer.map(|it| it.median),
            "limit": self.limit.map(|limit| limit.value),
            "unit": self.unit,
            "ratio": self.ratio(),
            "runs": self.ours.map_or(0, |it| it.runs),
            "failed": self.failed,
            "judged": self.limit.map(|limit| format!("{:?}", limit.judged).to_lowercase()),
            "verdict": format!("{:?}", self.verdict()).to_lowercase(),
            "oursSpread": spread(self.ours),
            "peerSpread": spread(self.peer),
        })
    }
}

/// The document for programs.
pub fn json(rows: &[Row]) -> serde_json::Value {
    json!({ "bench": "vrrp", "peer": "keepalived", "rows": rows.iter().map(Row::json).collect::<Vec<_>>() })
}

/// A Markdown table, aligned so that it also reads well in a terminal.
pub fn table(rows: &[Row]) -> String {
    let head = ["measured", "unit", "must reach", "quorate", "keepalived", "ratio", "runs", ""].map(str::to_owned);
    let lines: Vec<[String; 8]> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    let mut text = String::new();
    for (number, line) in lines.iter().enumerate() {
        let padded: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "| {} |", padded.join(" | "));
        if number == 0 {
            let rule: Vec<String> = widths.iter().map(|width| "-".repeat(*width)).collect();
            let _ = writeln!(text, "| {} |", rule.join(" | "));
        }
    }
    text
}

fn cells(row: &Row) -> [String; 8] {
    let figures = |summary: Option<Summary>| {
        summary
            .map_or_else(|| "–".into(), |it| format!("{} / {} / {}", figure(it.median), figure(it.p90), figure(it.max)))
    };
    let limit = row.limit.map_or_else(String::new, |limit| {
        let judged = match limit.judged {
            Judged::Median => "median",
            Judged::Maximum => "max",
        };
        format!("{judged} ≤ {}", figure(limit.value))
    });
    let verdict = match row.verdict() {
        Verdict::Reached => "reached",
        Verdict::Missed => "MISSED",
        Verdict::NotJudged => "",
    };
    [
        row.name.clone(),
        row.unit.into(),
        limit,
        figures(row.ours),
        figures(row.peer),
        row.ratio().map_or_else(|| "–".into(), |ratio| format!("{ratio:.2}")),
        row.ours.map_or(0, |it| it.runs).to_string(),
        verdict.into(),
    ]
}

/// A tenth is enough from ten on, and nothing is said after the point of nothing.
fn figure(value: f64) -> String {
    if value == 0.0 {
        "0".into()
    } else if value < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    }
}
