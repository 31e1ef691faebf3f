//! `quorate tolerance [N]`: the table of master counts, or one row of it with its whole reason.

use super::Exit;
use crate::quorum::policy::{self, Row, Verdict};
use anyhow::Result;
use serde_json::json;

/// Arguments of `quorate tolerance`.
#[derive(Debug, clap::Args)]
pub struct ToleranceArgs {
    /// Only this number of masters; exits with 3 when production refuses it
    #[arg(value_name = "N")]
    masters: Option<usize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Prints the rows and tells whether the asked-for count is acceptable.
///
/// # Errors
/// None of its own.
pub fn run(args: &ToleranceArgs) -> Result<Exit> {
    let counts = args.masters.map_or(0..=policy::MOST_MASTERS + 1, |count| count..=count);
    let rows: Vec<Row> = counts.map(policy::row).collect();
    if args.json {
        println!("{:#}", json!(rows));
    } else {
        println!("{:>7}  {:>6}  {:>11}  verdict in production", "masters", "quorum", "may be lost");
        for row in &rows {
            println!("{:>7}  {:>6}  {:>11}  {}", row.masters, row.quorum, row.may_be_lost, row.production);
            // In the whole table an accepted count needs no second line.
            if args.masters.is_some() || !matches!(row.production, Verdict::Accepted) {
                println!("{:28}  {}", "", row.note());
            }
        }
    }
    let refused = args.masters.is_some() && rows.iter().any(|row| matches!(row.production, Verdict::Refused { .. }));
    Ok(if refused { Exit::Refused } else { Exit::Fine })
}
