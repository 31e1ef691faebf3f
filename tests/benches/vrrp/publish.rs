//! Puts the results of a run where they are read: the table into `spec/benchmarks.md`, the picture beside it.

use super::report;
use super::suite::Results;
use super::timeline;
use std::path::Path;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/benchmarks.md");
const PICTURE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/failover.svg");
/// The table stands between these two.
const BEGIN: &str = "<!-- vrrp: written by cargo bench --bench vrrp -- --publish -->\n";
const END: &str = "<!-- vrrp: end -->\n";

/// Rewrites the table and, if there are failovers to draw, the picture.
pub fn publish(results: &Results) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap_or_else(|| panic!("'{PAGE}' has no line '{}'", BEGIN.trim()));
    let (_, after) = rest.split_once(END).unwrap_or_else(|| panic!("'{PAGE}' has no line '{}'", END.trim()));
    let table = report::table(&results.rows);
    let again =
        format!("Repeated, of either daemon, because the machine itself stood still: {} runs.", results.repeated);
    super::write(Path::new(PAGE), &format!("{before}{BEGIN}\n{table}\n{again}\n\n{END}{after}"));
    if let Some([ours, peer]) = &results.drawn {
        super::write(Path::new(PICTURE), &timeline::draw(ours, peer));
    }
}
