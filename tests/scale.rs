//! The fleet in numbers: a day of 100,000 clusters, simulated from the units as they are shipped. The table of
//! `spec/scale.md` is this simulation's output; `UPDATE=1 cargo test --test scale` rewrites it.
//!
//! quorate itself asks nothing central. What does is whatever brings a manifest to the drop directory; the simulation
//! compares ways to time that, over the same fleet and the same day, with one seed.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

const CLUSTERS: u64 = 100_000;
const MASTERS: u64 = 3;
const DAY_S: usize = 24 * 3600;
/// How often a host asks whether there is a newer manifest.
const FETCH_EVERY_S: u64 = 15 * 60;
/// At six in the morning a region comes back from a power cut: so many of a hundred hosts start within a minute.
const REGION_PERCENT: u64 = 20;
const POWER_BACK_S: u64 = 6 * 3600;
const SEED: u64 = 0x0071_756f_7261_7465;

/// How the fetching timer of a host is set.
#[derive(Clone, Copy)]
struct Timing {
    name: &'static str,
    /// `RandomizedDelaySec=`, in seconds.
    delay_s: u64,
    /// `FixedRandomDelay=`: the same delay every time, from the machine id.
    fixed: bool,
}

const TIMINGS: [Timing; 4] = [
    Timing { name: "`OnCalendar=*:0/15`, no delay", delay_s: 0, fixed: true },
    Timing { name: "the same, `RandomizedDelaySec=1min`", delay_s: 60, fixed: false },
    Timing { name: "the same, `RandomizedDelaySec=15min`", delay_s: FETCH_EVERY_S, fixed: false },
    Timing { name: "the same, `FixedRandomDelay=yes`", delay_s: FETCH_EVERY_S, fixed: true },
];

/// SplitMix64: enough randomness for a load curve, the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound.max(1)
    }
}

/// Requests that a source gets in each second of the day.
fn day(timing: Timing) -> Vec<u32> {
    let mut load = vec![0_u32; DAY_S];
    let mut random = Random(SEED);
    let mut ask = |second: u64| {
        if let Some(count) = load.get_mut(usize::try_from(second).unwrap()) {
            *count += 1;
        }
    };
    for _ in 0..CLUSTERS * MASTERS {
        let delay_s = random.below(timing.delay_s);
        let dark = random.below(100) < REGION_PERCENT;
        let back_s = POWER_BACK_S + random.below(60);
        // Off for the hour before; the first fetch after a boot waits like any other (OnBootSec= and the delay).
        let off = |second: u64| dark && (POWER_BACK_S - 3600..back_s).contains(&second);
        for slot in 0..DAY_S as u64 / FETCH_EVERY_S {
            let delay_s = if timing.fixed { delay_s } else { random.below(timing.delay_s) };
            let second = slot * FETCH_EVERY_S + delay_s;
            if !off(second) {
                ask(second);
            }
        }
        if dark {
            ask(back_s + delay_s);
        }
    }
    load
}

/// Mean, 99th percentile and peak of a load.
fn summary(load: &[u32]) -> (u32, u32, u32) {
    let mut sorted = load.to_vec();
    sorted.sort_unstable();
    let sum: u64 = load.iter().map(|&count| u64::from(count)).sum();
    let mean = u32::try_from(sum / load.len() as u64).unwrap();
    (mean, sorted[load.len() * 99 / 100], sorted[load.len() - 1])
}

/// What one master exports, counted from the case of a whole cluster.
fn series() -> u64 {
    let metrics = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/status/cases/converged/metrics.prom");
    fs::read_to_string(metrics).unwrap().lines().filter(|line| !line.starts_with('#')).count() as u64
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn table() -> String {
    let mut out = String::from(
        "| timer of the fetch | mean per s | p99 per s | peak per s | peak / mean |\n|---|---|---|---|---|\n",
    );
    for timing in TIMINGS {
        let (mean, p99, peak) = summary(&day(timing));
        let [mean_words, p99, peak_words] = [mean, p99, peak].map(|number| thousands(number.into()));
        out += &format!(
            "| {} | {mean_words} | {p99} | {peak_words} | {}.{} |\n",
            timing.name,
            peak / mean,
            peak * 10 / mean % 10
        );
    }
    let masters = CLUSTERS * MASTERS;
    out += &format!(
        "\n{} masters export {} series each: {} series, {} samples per second at one scrape a minute.\n",
        thousands(masters),
        series(),
        thousands(masters * series()),
        thousands(masters * series() / 60)
    );
    out
}

fn page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spec/scale.md")
}

const BEGIN: &str = "<!-- made by tests/scale.rs -->\n";
const END: &str = "<!-- end -->\n";

#[test]
fn the_page_shows_what_the_simulation_gives() {
    let text = fs::read_to_string(page()).unwrap();
    let start = text.find(BEGIN).unwrap() + BEGIN.len();
    let end = text.find(END).unwrap();
    let table = table();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(page(), format!("{}{table}{}", &text[..start], &text[end..])).unwrap();
        return;
    }
    assert_eq!(&text[start..end], table, "run with UPDATE=1 and read the difference");
}

#[test]
fn a_delay_as_long_as_the_period_flattens_the_day() {
    let (mean, _, peak) = summary(&day(TIMINGS[3]));
    assert!(peak < 2 * mean, "a peak of {peak} over a mean of {mean}");
    let (_, _, peak_without) = summary(&day(TIMINGS[0]));
    assert!(peak_without > 100 * peak, "without a delay the peak is {peak_without}");
}

#[test]
fn every_host_asks_in_every_period_but_while_it_is_dark() {
    let asked: u64 = day(TIMINGS[3]).iter().map(|&count| u64::from(count)).sum();
    let masters = CLUSTERS * MASTERS;
    let periods = DAY_S as u64 / FETCH_EVERY_S;
    // The dark ones miss four periods and ask once more when they are back.
    let expected = masters * periods - masters * REGION_PERCENT / 100 * 3;
    assert!(asked.abs_diff(expected) < masters / 100, "{asked} requests, {expected} expected");
}
