//! `make demo`, ended in the middle: nothing of it may be left on the machine.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "the demo is a program, and its clock is the real one")]

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// For the demo to boot its masters, and for it to end; a busy machine takes a while for the first.
const PATIENCE: Duration = Duration::from_secs(180);

/// A demo that does not outlive its test.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What a lab could leave behind: links, mounts, loop devices, control groups (which cannot go while a process is in them).
/// Only this demo's: other labs may be at work on the same machine.
fn traces(pid: u32) -> BTreeSet<String> {
    let mut traces = BTreeSet::new();
    let names = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| format!("{folder}/{}", entry.file_name().to_string_lossy())).collect()
    };
    traces.extend(names("/sys/class/net"));
    for hierarchy in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"] {
        traces.extend(names(hierarchy).into_iter().filter(|name| name.ends_with(&format!("quorate-lab-{pid}"))));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let here = concat!(env!("CARGO_MANIFEST_DIR"), "/target/lab");
    traces.extend(mounts.lines().filter(|line| line.contains(here)).map(str::to_owned));
    for device in names("/sys/block").into_iter().filter(|name| name.contains("/loop")) {
        let file = fs::read_to_string(format!("{device}/loop/backing_file")).unwrap_or_default();
        traces.extend(Some(file).filter(|file| file.contains(here)));
    }
    traces
}

fn demo() -> PathBuf {
    let program = Path::new(env!("CARGO_BIN_EXE_quorate"));
    program.with_file_name("examples").join("demo")
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    let test = "a demo that is interrupted";
    if !nix::unistd::geteuid().is_root() {
        println!("SKIPPED {test}: it boots containers, which needs root");
        return;
    }
    if !demo().exists() {
        println!("SKIPPED {test}: it is not built ('cargo build --example demo')");
        return;
    }
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let child = Command::new(demo()).stdout(Stdio::piped()).stderr(Stdio::null()).stdin(Stdio::null()).spawn();
        let mut demo = Guarded(child.unwrap());
        let pid = demo.0.id();
        let before = traces(0);
        let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map_while(Result::ok);
        let told = lines.find(|line| line.contains("node.pem into") || line.contains("cannot run here"));
        match told {
            Some(line) if line.contains("node.pem into") => {}
            other => {
                println!("SKIPPED {test}: it ended before its masters were up: {other:?}");
                return;
            }
        }
        assert!(traces(pid).len() > before.len(), "a demo at work leaves traces, or this test sees nothing");
        kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            match demo.0.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(Instant::now() < deadline, "{signal} does not end it"),
            }
            std::thread::sleep(Duration::from_millis(50));
        };
        assert_eq!(ended.code(), Some(code), "{signal}");
        let left: Vec<_> = traces(pid).difference(&before).cloned().collect();
        assert!(left.is_empty(), "{signal} leaves {left:?}");
    }
}
