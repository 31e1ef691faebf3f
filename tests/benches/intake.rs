//! What it costs to verify and read the largest manifest that is accepted: 256 KiB of it, signed.
//!
//! The bound is 20 ms and 16 MB, because it is paid on every master in every run. `ssh-keygen -Y verify` does the first
//! half of the same work and stands beside it as the peer.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::time::{ClockId, clock_gettime};
use quorate::manifest::parse::{MOST_BYTES, parse};
use quorate::trust::clock::Clock;
use quorate::trust::keyring::Keyring;
use quorate::trust::policy::Policy;
use quorate::trust::{MANIFEST_NAMESPACE, Purpose, signing::Key, verify};
use quorate::yaml;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Command;
use std::time::Duration;

const RUNS: u32 = 50;
const LIMIT: Duration = Duration::from_millis(20);
const MEMORY_LIMIT_KB: u64 = 16 * 1024;

fn main() {
    let place = tempfile::tempdir().unwrap();
    let key = place.path().join("key");
    let made = Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    let manifest = largest();
    let signature = Key::from_text(&fs::read_to_string(&key).unwrap())
        .unwrap()
        .sign(MANIFEST_NAMESPACE, manifest.as_bytes())
        .unwrap()
        .to_text()
        .unwrap();
    let allowed = format!("ops {}", fs::read_to_string(key.with_extension("pub")).unwrap());
    let clock = Clock { now: jiff::Timestamp::now(), trusted: true };

    let before = peak_kb();
    let seal = || {
        let keyring = Keyring::parse(&allowed, Policy::default());
        verify(manifest.clone().into_bytes(), &signature, &keyring, Purpose::NewInput(&clock)).unwrap()
    };
    let whole = median(thread_time, || {
        seal().bytes.try_map(|bytes| parse("manifest.yaml", &bytes)).unwrap();
    });
    let grown = peak_kb().saturating_sub(before);
    let signed = median(thread_time, || drop(seal()));
    let read = median(thread_time, || drop(yaml::document(&manifest).unwrap()));

    let path = |name: &str| place.path().join(name);
    fs::write(path("manifest.yaml"), &manifest).unwrap();
    fs::write(path("manifest.yaml.sig"), &signature).unwrap();
    fs::write(path("allowed"), &allowed).unwrap();
    let peer = median(children_time, || {
        let output = Command::new("ssh-keygen")
            .args(["-Y", "verify", "-I", "ops", "-n", MANIFEST_NAMESPACE, "-f"])
            .arg(path("allowed"))
            .arg("-s")
            .arg(path("manifest.yaml.sig"))
            .stdin(File::open(path("manifest.yaml")).unwrap())
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    });

    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    let rows = [
        ("verify and read", ms(whole), None, Some(ms(LIMIT)), "ms"),
        ("of that: the signature", ms(signed), Some(ms(peer)), None, "ms"),
        ("of that: YAML with places", ms(read), None, None, "ms"),
        (
            "peak memory beyond the start",
            f64::from(u32::try_from(grown).unwrap()) / 1024.0,
            None,
            Some(f64::from(u32::try_from(MEMORY_LIMIT_KB / 1024).unwrap())),
            "MB",
        ),
    ];
    println!(
        "{:32} {:>4} {:>9} {:>9} {:>20}",
        "intake of a manifest of 256 KiB", "", "at most", "quorate", "ssh-keygen -Y verify"
    );
    let shown = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.1}"));
    for (name, ours, peer, limit, unit) in &rows {
        println!("{name:32} {unit:>4} {:>9} {ours:>9.1} {:>20}", shown(*limit), shown(*peer));
    }
    let directory = format!("{}/target/bench", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(&directory).unwrap();
    let json: Vec<_> = rows
        .iter()
        .map(|(name, ours, peer, limit, unit)| {
            serde_json::json!({ "name": format!("intake: {name}"), "ours": ours, "peer": peer, "limit": limit, "unit": unit,
                                "ratio": limit.or(*peer).map(|other| ours / other), "runs": RUNS })
        })
        .collect();
    fs::write(format!("{directory}/intake.json"), format!("{:#}\n", serde_json::json!(json))).unwrap();
    assert!(whole < LIMIT, "{whole:?} is above {LIMIT:?}");
    assert!(grown < MEMORY_LIMIT_KB, "{grown} kB is above {MEMORY_LIMIT_KB} kB");
}

/// A valid manifest that fills the size and the number of keys and values: probes, and comments.
fn largest() -> String {
    let example = include_str!("../../spec/examples/five-masters.yaml");
    let (head, tail) = example.split_once("  health:\n").unwrap();
    let rest = tail.split_once('\n').unwrap().1;
    let mut text = format!("{head}  health:\n");
    for port in 1..=530 {
        writeln!(text, "    - {{ https: \"https://127.0.0.1:{port}/livez\", interval: 1s, fall: 3, rise: 2 }}")
            .unwrap();
    }
    text.push_str(rest);
    while text.len() + 80 < MOST_BYTES {
        text.push_str("# what is written here is signed, and is read by people only: it fills the file\n");
    }
    text
}

/// Processor time, so that what else runs on the machine counts little.
fn median(clock: fn() -> Duration, mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = clock();
            work();
            clock() - start
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn thread_time() -> Duration {
    Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap())
}

/// Of the processes that were started and have ended.
fn children_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let spent = |time: TimeVal| Duration::from_micros(u64::try_from(time.num_microseconds()).unwrap());
    spent(usage.user_time()) + spent(usage.system_time())
}

/// The most memory this process ever had resident, proc_pid_status(5).
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
