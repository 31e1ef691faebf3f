//! What it costs to verify and read the largest manifest that is accepted: 256 KiB of it, signed.
//!
//! The bound is 20 ms and 16 MB, because it is paid on every master in every run. `ssh-keygen -Y verify` does the first
//! half of the same work and stands beside it as the peer.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

use quorate::manifest::parse::{MOST_BYTES, parse};
use quorate::trust::clock::Clock;
use quorate::trust::keyring::Keyring;
use quorate::trust::policy::Policy;
use quorate::trust::{MANIFEST_NAMESPACE, Purpose, signing::Key, verify};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant};

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
    let ours = median(|| {
        let keyring = Keyring::parse(&allowed, Policy::default());
        let signed = verify(manifest.clone().into_bytes(), &signature, &keyring, Purpose::NewInput(&clock)).unwrap();
        signed.bytes.try_map(|bytes| parse("manifest.yaml", &bytes)).unwrap();
    });
    let grown = peak_kb().saturating_sub(before);

    let path = |name: &str| place.path().join(name);
    fs::write(path("manifest.yaml"), &manifest).unwrap();
    fs::write(path("manifest.yaml.sig"), &signature).unwrap();
    fs::write(path("allowed"), &allowed).unwrap();
    let peer = median(|| {
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
    println!(
        "{:44} {:>10} {:>22} {:>8}",
        "intake of a manifest of 256 KiB", "quorate", "ssh-keygen -Y verify", "limit"
    );
    println!(
        "{:44} {:>7.1} ms {:>19.1} ms {:>5.0} ms",
        "verify and parse, median of 50",
        ms(ours),
        ms(peer),
        ms(LIMIT)
    );
    println!("{:44} {:>7} kB {:>22} {:>5} kB", "peak memory beyond the start", grown, "-", MEMORY_LIMIT_KB);
    let directory = format!("{}/target/bench", env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(&directory).unwrap();
    let rows = serde_json::json!([
        { "name": "intake.verify_and_parse", "ours": ms(ours), "peer": ms(peer), "limit": ms(LIMIT), "unit": "ms",
          "ratio": ms(ours) / ms(LIMIT), "runs": RUNS },
        { "name": "intake.memory", "ours": grown, "peer": null, "limit": MEMORY_LIMIT_KB, "unit": "kB",
          "ratio": f64::from(u32::try_from(grown).unwrap()) / f64::from(u32::try_from(MEMORY_LIMIT_KB).unwrap()),
          "runs": RUNS },
    ]);
    fs::write(format!("{directory}/intake.json"), format!("{rows:#}\n")).unwrap();
    assert!(ours < LIMIT, "{ours:?} is above {LIMIT:?}");
    assert!(grown < MEMORY_LIMIT_KB, "{grown} kB is above {MEMORY_LIMIT_KB} kB");
}

/// A valid manifest that fills the size: mostly probes, which have the most keys per byte, and comments.
fn largest() -> String {
    let example = include_str!("../../spec/examples/five-masters.yaml");
    let (head, tail) = example.split_once("  health:\n").unwrap();
    let rest = tail.split_once('\n').unwrap().1;
    let mut text = format!("{head}  health:\n");
    for port in 1..=1800 {
        writeln!(text, "    - {{ https: \"https://127.0.0.1:{port}/livez\", interval: 1s, fall: 3, rise: 2 }}")
            .unwrap();
    }
    text.push_str(rest);
    while text.len() + 80 < MOST_BYTES {
        text.push_str("# what is written here is signed, and is read by people only: it fills the file\n");
    }
    text
}

fn median(mut work: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            work();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// The most memory this process ever had resident, proc_pid_status(5).
fn peak_kb() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
