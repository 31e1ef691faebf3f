//! `quorate status` as a program: what it prints, how it ends, and `--watch` in a real terminal.

#![allow(
    clippy::disallowed_methods,
    reason = "the program under test has to be started, and its clock is the real one"
)]

use super::cases::{all, named};
use jiff::Timestamp;
use quorate::paths::Paths;
use quorate::status::Status;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Every wait of these tests ends by then.
const PATIENCE: Duration = Duration::from_secs(20);

/// A root directory with this status in it, seen `age_s` seconds ago.
fn host(status: &Status, age_s: i64) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(Paths::below(root.path()).run()).unwrap();
    put(root.path(), status, age_s);
    root
}

fn put(root: &Path, status: &Status, age_s: i64) {
    let seen = Status { at: Timestamp::now() - jiff::SignedDuration::from_secs(age_s), ..status.clone() };
    fs::write(Paths::below(root).status(), serde_json::to_vec(&seen).unwrap()).unwrap();
}

fn quorate(root: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_quorate")).args(["status", "--root"]).arg(root).args(more).output().unwrap()
}

#[test]
fn each_case_ends_with_the_code_of_its_verdict() {
    let codes = [9, 10, 0, 8, 8, 4, 4, 75, 9, 10, 3, 0, 75, 3];
    for (case, code) in all().into_iter().zip(codes) {
        // The clock is the real one here: certificates are what the case says they are only on its own day.
        let mut status = case.status;
        let expired = case.name == "certificate-expired";
        status.certificates.retain(|_| expired);
        let output = quorate(host(&status, 4).path(), &[]);
        assert_eq!(output.status.code(), Some(code), "{}: {}", case.name, String::from_utf8_lossy(&output.stdout));
        assert!(output.stderr.is_empty(), "{}", case.name);
    }
}

#[test]
fn a_document_that_is_old_or_missing_or_broken_is_not_known() {
    let root = host(&named("converged").status, 1000);
    let old = quorate(root.path(), &[]);
    assert_eq!(old.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&old.stdout).contains("reconcile has not reported for 16 min"));
    fs::write(Paths::below(root.path()).status(), "{").unwrap();
    let broken = quorate(root.path(), &["--json"]);
    assert_eq!((broken.status.code(), broken.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&broken.stderr).contains("'quorate reconcile' writes a new one"));
    fs::remove_file(Paths::below(root.path()).status()).unwrap();
    let missing = quorate(root.path(), &[]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("reconcile has not run since boot"));
}

#[test]
fn json_carries_the_verdict_and_reads_back_as_the_document() {
    let root = host(&named("quorum-lost").status, 4);
    let output = quorate(root.path(), &["--json"]);
    let account: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(account["verdict"], "down");
    assert_eq!(account["findings"][0]["what"], "etcd has no quorum");
    let written: Status = serde_json::from_slice(&fs::read(Paths::below(root.path()).status()).unwrap()).unwrap();
    assert_eq!(serde_json::from_slice::<Status>(&output.stdout).unwrap(), written);
}

#[test]
fn html_writes_one_file() {
    let root = host(&named("converged").status, 4);
    let page = root.path().join("incident.html");
    let output = quorate(root.path(), &["--html", page.to_str().unwrap()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert!(fs::read_to_string(page).unwrap().starts_with("<!doctype html>"));
}

/// A child that does not outlive its test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `file` holds once it contains `word`.
fn await_word(file: &Path, word: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if text.contains(word) {
            return text;
        }
        assert!(Instant::now() < deadline, "'{word}' never came; there is only:\n{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn end(child: &mut Guarded) -> Option<i32> {
    let pid = nix::unistd::Pid::from_raw(child.0.id().try_into().unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.0.try_wait().unwrap() {
            return status.code();
        }
        assert!(Instant::now() < deadline, "it does not end");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn watching_without_a_terminal_tells_each_change_once() {
    let root = host(&named("converged").status, 0);
    let log = root.path().join("log");
    let mut watching = Guarded(
        Command::new(env!("CARGO_BIN_EXE_quorate"))
            .args(["status", "--watch", "--root"])
            .arg(root.path())
            .stdout(File::create(&log).unwrap())
            .spawn()
            .unwrap(),
    );
    await_word(&log, "nothing to do");
    put(root.path(), &named("active-master-dead").status, 0);
    await_word(&log, "the VIP moved from m1 to m2");
    fs::remove_file(Paths::below(root.path()).status()).unwrap();
    await_word(&log, "there is no '");
    put(root.path(), &named("active-master-dead").status, 0);
    let text = await_word(&log, "the status document can be read");
    assert_eq!(text.matches("the VIP moved").count(), 1, "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    assert_eq!(end(&mut watching), Some(0));
}

#[test]
fn watching_in_a_terminal_redraws_and_gives_the_window_back() {
    let root = host(&named("converged").status, 0);
    let log = root.path().join("log");
    let command = format!("{} status --watch --root {}", env!("CARGO_BIN_EXE_quorate"), root.path().display());
    // script(1) gives the program a terminal and records what it writes.
    let script = Command::new("script")
        .args(["--quiet", "--flush", "--command", &command])
        .arg(&log)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn();
    let Ok(script) = script else {
        println!("SKIPPED --watch in a terminal: script is not installed (Debian package bsdutils)");
        return;
    };
    let script = Guarded(script);
    await_word(&log, "Ctrl-C ends");
    put(root.path(), &named("active-master-dead").status, 0);
    let text = await_word(&log, "the VIP moved from m1 to m2");
    assert!(text.contains("\x1b[?1049h\x1b[?25l"), "the window is taken over: {text:?}");
    assert!(text.contains("\x1b[32m"), "in colour: {text:?}");
    script.0.stdin.as_ref().unwrap().write_all(b"\x03").unwrap();
    await_word(&log, "\x1b[?25h\x1b[?1049l");
}
