//! The table of a run, and where it is put.

use anyhow::Context as _;
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// One comparison.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub name: &'static str,
    /// With quorate, one per run.
    pub ours: Vec<Duration>,
    /// What `peer` is.
    pub beside: &'static str,
    /// etcd by itself, one per run.
    pub peer: Vec<Duration>,
    /// How many times the peer ours may be.
    pub most_times: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        median_ms(&self.ours) / median_ms(&self.peer)
    }

    /// Whether the limit is exceeded.
    pub fn is_missed(&self) -> bool {
        self.ratio() > self.most_times
    }
}

fn median_ms(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn largest_ms(times: &[Duration]) -> f64 {
    times.iter().max().map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

/// The rows as a table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let mut text = String::from(
        "| measured, ms (median / maximum) | quorate | beside | etcd by itself | ratio | must reach | runs | |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let figures = |times: &[Duration]| format!("{:.0} / {:.0}", median_ms(times), largest_ms(times));
        text.push_str(&format!(
            "| {} | {} | {} | {} | {:.2} | ratio ≤ {:.1} | {} | {} |\n",
            row.name,
            figures(&row.ours),
            row.beside,
            figures(&row.peer),
            row.ratio(),
            row.most_times,
            row.ours.len(),
            if row.is_missed() { "MISSED" } else { "reached" },
        ));
    }
    text
}

/// Writes `etcd.json` into `place`.
pub fn write_json(place: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let row = |row: &Row| {
        let (ours, peer) = (median_ms(&row.ours), median_ms(&row.peer));
        json!({
            "name": row.name, "ours": ours, "peer": peer, "limit": peer * row.most_times, "unit": "ms",
            "ratio": row.ratio(), "runs": row.ours.len(),
        })
    };
    std::fs::create_dir_all(place)?;
    let rows: Vec<_> = rows.iter().map(row).collect();
    Ok(std::fs::write(place.join("etcd.json"), serde_json::to_vec_pretty(&rows)?)?)
}

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/benchmarks.md");
/// The table stands between these two.
const BEGIN: &str = "<!-- etcd: written by cargo bench --bench etcd -- --publish -->\n";
const END: &str = "<!-- etcd: end -->\n";

/// Puts the table into spec/benchmarks.md.
pub fn publish(rows: &[Row]) -> anyhow::Result<()> {
    let page = std::fs::read_to_string(PAGE)?;
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("'{PAGE}' has no line '{}'", BEGIN.trim()))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("'{PAGE}' has no line '{}'", END.trim()))?;
    Ok(std::fs::write(PAGE, format!("{before}{BEGIN}\n{}\n{END}{after}", table(rows)))?)
}
