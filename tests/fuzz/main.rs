//! Damaged input for everything that reads bytes from outside, for a bounded time: two seconds each in `cargo test`,
//! `QUORATE_FUZZ_SECONDS=600 cargo test --release --test fuzz` for a night. The seed is printed; `QUORATE_FUZZ_SEED`
//! repeats a run. A target is a few lines: it must not panic, and what it accepts must mean the same when it is
//! written again.

#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod codec;

use quorate::manifest::parse::parse;
use quorate::trust::envelope::Envelope;
use quorate::trust::keyring::Keyring;
use quorate::trust::policy::{self, Policy};
use quorate::yaml::finding::{Look, Weight};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// A manifest is refused with a reason, or accepted with warnings only; each report can be shown.
fn manifest(bytes: &[u8]) {
    match parse("manifest.yaml", bytes) {
        Ok(parsed) => {
            assert!(parsed.warnings.list().iter().all(|finding| finding.weight == Weight::Warning));
            assert!(!parsed.manifest.masters.is_empty() && parsed.manifest.masters.len() <= 7);
        }
        Err(findings) => {
            assert!(matches!(findings.heaviest(), Some(Weight::Invalid | Weight::Unsafe)));
            let shown = findings.render(Look::Plain) + &findings.to_string() + &findings.to_json().to_string();
            // What somebody else wrote must not steer the terminal of who reads the message.
            assert!(
                !findings.to_string().chars().any(|character| character.is_control() && character != '\n'),
                "{shown}"
            );
        }
    }
}

/// A signature file that is read is written again as the same signatures.
fn envelope(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(envelopes) = Envelope::read_all(text) {
        let again: String = envelopes.iter().map(|envelope| envelope.to_text().unwrap()).collect();
        assert_eq!(Envelope::read_all(&again).unwrap(), envelopes);
        for envelope in envelopes {
            let _ =
                (envelope.covers(b"other bytes"), envelope.presence(), envelope.algorithm(), envelope.fingerprint());
        }
    }
}

/// Each line of a list of signers is used, or its reason is told.
fn allowed_signers(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let keyring = Keyring::parse(text, Policy::default());
    let lines = text.lines().map(|line| line.trim_matches([' ', '\t', '\r']));
    let meant = lines.filter(|line| !line.is_empty() && !line.starts_with('#')).count();
    assert_eq!(keyring.signers().len() + keyring.spoiled().len(), meant);
}

/// A policy is never weaker than one signature.
fn trust_policy(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(policy) = policy::parse("policy.yaml", text) {
        assert!((1..=16).contains(&policy.threshold));
    }
}

#[test]
fn damaged_manifests_are_explained() {
    fuzz("manifest", manifest, &corpus(&["tests/bad_input/manifest", "spec/examples"], ".yaml"));
}

#[test]
fn damaged_signature_files_are_refused() {
    fuzz("envelope", envelope, &corpus(&["tests/bad_input/signature"], ".sig"));
}

#[test]
fn damaged_lists_of_signers_are_told() {
    fuzz("allowed_signers", allowed_signers, &corpus(&["tests/bad_input/signature"], "allowed_signers"));
}

#[test]
fn damaged_policies_are_refused() {
    fuzz("policy", trust_policy, &[b"threshold: 2\nuserVerification: true\n".to_vec()]);
}

fn corpus(directories: &[&str], suffix: &str) -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    for directory in directories {
        for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
            let path = entry.unwrap().path();
            if path.to_str().unwrap().ends_with(suffix) {
                inputs.push(fs::read(path).unwrap());
            }
        }
    }
    inputs.sort();
    assert!(!inputs.is_empty(), "no inputs in {directories:?}");
    inputs
}

/// Damages inputs until the time is over.
fn fuzz(name: &str, target: fn(&[u8]), corpus: &[Vec<u8>]) {
    let number = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse::<u64>().ok());
    let started = Instant::now();
    let limit = Duration::from_secs(number("QUORATE_FUZZ_SECONDS").unwrap_or(2));
    let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    let seed = number("QUORATE_FUZZ_SEED").unwrap_or(u64::try_from(clock & u128::from(u64::MAX)).unwrap()) | 1;
    println!("{name}: QUORATE_FUZZ_SEED={seed}");
    let mut chance = Chance(seed);
    let mut runs = 0_u64;
    // Undamaged first: the corpus is part of the contract.
    corpus.iter().for_each(|input| target(input));
    while started.elapsed() < limit {
        let mut input = corpus[chance.below(corpus.len())].clone();
        for _ in 0..=chance.below(4) {
            damage(&mut input, &corpus[chance.below(corpus.len())], &mut chance);
        }
        target(&input);
        runs += 1;
    }
    println!("{name}: {runs} inputs");
    assert!(runs > 100, "only {runs} inputs in {limit:?}: too slow to be worth anything");
}

/// Changes one thing: a bit, a byte, a piece removed, repeated, or taken from another input.
fn damage(input: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    if input.is_empty() {
        input.push(chance.byte());
        return;
    }
    let at = chance.below(input.len());
    let end = (at + 1 + chance.below(40)).min(input.len());
    match chance.below(7) {
        0 => input[at] ^= 1 << chance.below(8),
        1 => input[at] = chance.byte(),
        2 => drop(input.drain(at..end)),
        3 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        4 if !other.is_empty() => {
            let from = chance.below(other.len());
            let to = (from + 1 + chance.below(80)).min(other.len());
            input.splice(at..end, other[from..to].to_vec());
        }
        5 => {
            const PIECES: [&[u8]; 12] = [
                b"\n",
                b"\"",
                b": ",
                b"- ",
                b"{",
                b"[",
                b"&a ",
                b"*a",
                b"\xff",
                b"\x00",
                b"18446744073709551616",
                b"---\n",
            ];
            input.splice(at..at, PIECES[chance.below(PIECES.len())].to_vec());
        }
        _ => input.truncate(at),
    }
}

/// xorshift64: all that is needed of chance, and it repeats.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(most).unwrap()).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}
