//! All cells of the bench: what is measured how often, and what must be reached.

use super::cadence::Cadence;
use super::failover::{self, Failover, Fault};
use super::report::{AgainstPeer, Judged, Limit, Row};
use super::statistics::Summary;
use super::{garbage, load, reload, removed};
use crate::wire::{Kind, Router};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// Both daemons, in the order in which they take turns.
const KINDS: [Kind; 2] = [Kind::Quorate, Kind::Keepalived];
/// What a successor may add to the protocol's own time after a resignation, and after silence.
const AFTER_RESIGNATION: Duration = Duration::from_millis(1);
const AFTER_SILENCE: Duration = Duration::from_millis(2);
/// How soon the successor must answer after the daemon was killed.
const AFTER_KILL: Duration = Duration::from_millis(50);
/// A run that fails for the bench's own reasons is repeated, so often in all: when a daemon did not start in time, and, but for the last
/// time, when the machine stood still.
const ATTEMPTS: usize = 10;
/// Repeats of the load cell: it watches thousands of advertisements for a quarter of a minute each time.
const LOAD_RUNS: usize = 1;
/// Garbage must not move an advertisement by more than a twentieth of the interval of 100 ms.
const GAP_UNDER_GARBAGE_MS: f64 = 105.0;
/// How soon an address that vanished must be announced again.
const AFTER_REMOVAL_MS: f64 = 100.0;
/// Repeats of the reload cell, a minute and 60 reloads each.
const RELOAD_RUNS: usize = 2;
/// The cell of the picture: seconds for keepalived, milliseconds for quorate.
const DRAWN: (Fault, u32) = (Fault::Kill, 100);

/// One fault at one interval.
#[derive(Debug, Clone, Copy)]
struct Cell {
    fault: Fault,
    interval_cs: u32,
}

/// What came of it all.
#[derive(Debug, Default)]
pub struct Results {
    pub rows: Vec<Row>,
    /// Runs that did not count and were repeated.
    pub repeated: usize,
    /// The failovers to draw: ours and keepalived's.
    pub drawn: Option<[Failover; 2]>,
}

const CELLS: [Cell; 10] = [
    Cell { fault: Fault::Stop, interval_cs: 100 },
    Cell { fault: Fault::Stop, interval_cs: 10 },
    Cell { fault: Fault::Stop, interval_cs: 1 },
    Cell { fault: Fault::Kill, interval_cs: 100 },
    Cell { fault: Fault::Gone, interval_cs: 100 },
    Cell { fault: Fault::Gone, interval_cs: 10 },
    Cell { fault: Fault::Gone, interval_cs: 1 },
    Cell { fault: Fault::Freeze, interval_cs: 100 },
    Cell { fault: Fault::Freeze, interval_cs: 10 },
    Cell { fault: Fault::Freeze, interval_cs: 1 },
];

impl Cell {
    fn name(self) -> String {
        let interval = failover::router(self.interval_cs).interval();
        format!(
            "{}, {}",
            self.fault,
            if interval.as_secs() > 0 { "1 s".into() } else { format!("{} ms", interval.as_millis()) }
        )
    }

    /// Whether one run in which the machine stood still would decide. Medians bear it.
    fn judged_by_its_worst(self) -> bool {
        self.fault == Fault::Gone
    }

    /// How many labs run side by side: the longer a failover waits, the more. Silence is judged by its single longest
    /// millisecond, which another lab that starts its daemons meanwhile would add to.
    fn lanes(self) -> usize {
        match (self.fault, self.interval_cs) {
            (_, 100..) => 6,
            (Fault::Gone, _) => 1,
            (_, 10..) => 2,
            _ => 1,
        }
    }
}

/// Measures every cell whose name contains `only`, `runs` times per daemon.
pub fn run(runs: usize, only: &str) -> Results {
    let mut results = Results::default();
    for cell in CELLS.into_iter().filter(|cell| cell.name().contains(only)) {
        let [ours, peer] = alternate(&mut results.repeated, &cell.name(), runs, cell.lanes(), |kind, last_attempt| {
            let failover = failover::measure(kind, cell.fault, cell.interval_cs)?;
            if cell.judged_by_its_worst() && !last_attempt {
                failover.check_the_machine()?;
            }
            Ok(failover)
        });
        results.rows.extend(rows(cell, &ours, &peer));
        if (cell.fault, cell.interval_cs) == DRAWN {
            results.drawn = typical(&ours.done).zip(typical(&peer.done)).map(|(ours, peer)| [ours, peer]);
        }
    }
    if garbage::NAME.contains(only) {
        let [ours, peer] = alternate(&mut results.repeated, garbage::NAME, runs, 1, |kind, _| garbage::measure(kind));
        results.rows.extend(garbage_rows(&ours, &peer));
    }
    if removed::NAME.contains(only) {
        let [ours, peer] = alternate(&mut results.repeated, removed::NAME, runs, 4, |kind, _| removed::measure(kind));
        let limit = Limit { value: AFTER_REMOVAL_MS, judged: Judged::Maximum, peer: AgainstPeer::NoWorse };
        results.rows.push(row(removed::NAME, "ms", &ours, &peer, Some(limit), |ms| Some(*ms)));
    }
    if reload::NAME.contains(only) {
        let [ours, peer] =
            alternate(&mut results.repeated, reload::NAME, RELOAD_RUNS, 4, |kind, _| reload::measure(kind));
        results.rows.extend(reload_rows(&ours, &peer));
    }
    if load::NAME.contains(only) {
        let [ours, peer] = alternate(&mut results.repeated, load::NAME, LOAD_RUNS, 1, |kind, _| load::measure(kind));
        results.rows.extend(load_rows(&ours, &peer));
    }
    results
}

/// What one daemon gave.
#[derive(Debug)]
struct Sample<T> {
    done: Vec<T>,
    failed: usize,
    repeated: usize,
}

/// Measures both daemons in turns, `runs` times each, in `lanes` at a time. `measure` hears whether it is asked for the last time.
fn alternate<T: Send>(
    repeated: &mut usize,
    name: &str,
    runs: usize,
    lanes: usize,
    measure: impl Fn(Kind, bool) -> Result<T, String> + Sync,
) -> [Sample<T>; 2] {
    let start = Instant::now();
    let turns = Mutex::new((0..runs).flat_map(|_| KINDS));
    let samples = Mutex::new([(); 2].map(|()| Sample { done: Vec::new(), failed: 0, repeated: 0 }));
    thread::scope(|scope| {
        for _ in 0..lanes {
            scope.spawn(|| {
                loop {
                    // A statement of its own, so that the turns are free again while this one is taken.
                    let turn = turns.lock().unwrap().next();
                    let Some(kind) = turn else { break };
                    let mut repeated = 0;
                    let result = (1..=ATTEMPTS).find_map(|attempt| match measure(kind, attempt == ATTEMPTS) {
                        Ok(value) => Some(value),
                        Err(why) => {
                            eprintln!("{name}, {kind}: {why}");
                            repeated += 1;
                            None
                        }
                    });
                    let sample = &mut samples.lock().unwrap()[usize::from(kind == Kind::Keepalived)];
                    sample.repeated += repeated;
                    match result {
                        Some(value) => sample.done.push(value),
                        None => sample.failed += 1,
                    }
                }
            });
        }
    });
    let samples = samples.into_inner().unwrap();
    let again: usize = samples.iter().map(|sample| sample.repeated).sum();
    eprintln!("{name}: {runs} runs each in {:.0} s, {again} repeated", start.elapsed().as_secs_f64());
    *repeated += again;
    samples
}

/// The figures of a fault: the one that is judged, then what a client sees.
fn rows(cell: Cell, ours: &Sample<Failover>, peer: &Sample<Failover>) -> Vec<Row> {
    let router: Router = failover::router(cell.interval_cs);
    let ms = |span: Duration| span.as_secs_f64() * 1e3;
    let limit = |span: Duration, judged, peer| Some(Limit { value: ms(span), judged, peer });
    let row = |what: &str, limit, value: fn(&Failover) -> Option<f64>| {
        row(&format!("{}: {what}", cell.name()), "ms", ours, peer, limit, value)
    };
    let answered = |limit| row("fault to first answer", limit, Failover::answered_ms);
    match cell.fault {
        Fault::Stop => vec![
            row(
                "fault to announcement",
                limit(router.skew() + AFTER_RESIGNATION, Judged::Median, AgainstPeer::NoWorse),
                Failover::announced_ms,
            ),
            answered(None),
        ],
        Fault::Kill => vec![answered(limit(AFTER_KILL, Judged::Median, AgainstPeer::NoWorse))],
        Fault::Gone => vec![
            row(
                "last advertisement to announcement",
                limit(router.down() + AFTER_SILENCE, Judged::Maximum, AgainstPeer::NoWorse),
                Failover::silence_ms,
            ),
            row("last advertisement to the successor's first", None, Failover::elected_ms),
            answered(None),
        ],
        Fault::Freeze => vec![
            row("two answering holders", limit(Duration::ZERO, Judged::Maximum, AgainstPeer::NoWorse), |failover| {
                Some(failover.two_holders_ms())
            }),
            answered(None),
        ],
    }
}

fn load_rows(ours: &Sample<load::Load>, peer: &Sample<load::Load>) -> Vec<Row> {
    let limit = |value, peer| Some(Limit { value, judged: Judged::Maximum, peer });
    let row = |what: &str, unit, limit, value: fn(&load::Load) -> f64| {
        row(&format!("{}: {what}", load::NAME), unit, ours, peer, limit, |load| Some(value(load)))
    };
    let peer_cpu = peer.done.iter().map(|load| load.active_cpu).fold(0.0, f64::max);
    vec![
        row("CPU of the Active", "% of a core", limit(peer_cpu, AgainstPeer::NoWorse), |load| load.active_cpu),
        row("CPU of the Backup", "% of a core", None, |load| load.backup_cpu),
        row("resident memory", "MB", limit(8.0, AgainstPeer::Whatever), |load| load.resident_mb),
        row("late advertisements", "", limit(0.0, AgainstPeer::Whatever), |load| load.cadence.late),
        row("late by the clock", "", None, |load| load.cadence.late_by_the_clock),
        row("longest gap between two", "ms", None, |load| load.cadence.gap_ms),
    ]
}

fn garbage_rows(ours: &Sample<Cadence>, peer: &Sample<Cadence>) -> Vec<Row> {
    let limit = |value, judged| Some(Limit { value, judged, peer: AgainstPeer::Whatever });
    let gap = "longest gap between two";
    vec![
        row(&format!("{}: transitions", garbage::NAME), "", ours, peer, limit(0.0, Judged::Maximum), |cadence| {
            Some(cadence.transitions)
        }),
        row(
            &format!("{}: {gap}", garbage::NAME),
            "ms",
            ours,
            peer,
            limit(GAP_UNDER_GARBAGE_MS, Judged::Median),
            |cadence| Some(cadence.gap_ms),
        ),
    ]
}

fn reload_rows(ours: &Sample<Cadence>, peer: &Sample<Cadence>) -> Vec<Row> {
    let none = Some(Limit { value: 0.0, judged: Judged::Maximum, peer: AgainstPeer::Whatever });
    let row = |what: &str, unit, limit, value: fn(&Cadence) -> f64| {
        row(&format!("{}: {what}", reload::NAME), unit, ours, peer, limit, |cadence| Some(value(cadence)))
    };
    vec![
        row("transitions", "", none, |cadence| cadence.transitions),
        row("late advertisements", "", none, |cadence| cadence.late),
        row("late by the clock", "", None, |cadence| cadence.late_by_the_clock),
        row("longest gap between two", "ms", None, |cadence| cadence.gap_ms),
    ]
}

fn row<T>(
    name: &str,
    unit: &'static str,
    ours: &Sample<T>,
    peer: &Sample<T>,
    limit: Option<Limit>,
    value: impl Fn(&T) -> Option<f64>,
) -> Row {
    let summary = |sample: &Sample<T>| Summary::of(sample.done.iter().filter_map(&value).collect());
    let silent = ours.done.iter().filter(|run| value(run).is_none()).count();
    Row { name: name.into(), unit, ours: summary(ours), peer: summary(peer), limit, failed: ours.failed + silent }
}

/// The run in the middle.
fn typical(runs: &[Failover]) -> Option<Failover> {
    let mut runs: Vec<&Failover> = runs.iter().collect();
    runs.sort_by(|a, b| a.answered_ms().unwrap_or(f64::MAX).total_cmp(&b.answered_ms().unwrap_or(f64::MAX)));
    runs.get(runs.len() / 2).map(|run| (*run).clone())
}
