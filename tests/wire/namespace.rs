//! A network namespace without a name: it lives as long as this value, or a process in it, does.

use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::thread;

/// An open handle on a network namespace.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// Makes a namespace. Namespaces belong to threads, so a thread that ends at once is enough to make one.
    pub fn new() -> Self {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        };
        Self(thread::scope(|scope| scope.spawn(make).join().unwrap()))
    }

    /// Another handle on the same namespace.
    pub fn again(&self) -> Self {
        Self(self.0.try_clone().unwrap())
    }

    /// Moves the calling thread here for good; sockets it opens and processes it starts are here too.
    pub fn enter(&self) {
        setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// What `body` returns when it runs here.
    pub fn within<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let run = || {
            self.enter();
            body()
        };
        thread::scope(|scope| scope.spawn(run).join().unwrap())
    }

    /// A path by which `ip` finds it.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// Runs a command line here and requires that it succeeds.
    pub fn run(&self, line: &str) {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().unwrap());
        command.args(words).stdin(Stdio::null());
        let output =
            self.within(|| command.output().unwrap_or_else(|error| panic!("'{line}' does not start: {error}")));
        assert!(output.status.success(), "'{line}' failed: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sets a sysctl below `net`, such as `ipv4.ip_forward`.
    pub fn sysctl(&self, name: &str, value: &str) {
        let path = format!("/proc/sys/net/{}", name.replace('.', "/"));
        self.within(|| std::fs::write(&path, value).unwrap_or_else(|error| panic!("cannot write '{path}': {error}")));
    }
}
