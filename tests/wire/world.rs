//! Namespaces for a whole program, so that nothing it starts can outlive it and nothing it does can reach the machine.
//!
//! A threaded program cannot move itself, so it starts itself again inside: `setpriv --pdeathsig` ties the inner
//! program to the thread that waits for it, and as process 1 of its own process namespace it takes everything it started along.

use std::ffi::OsString;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Output, Stdio};

/// Set in the inner program.
const INSIDE: &str = "QUORATE_WIRE_INSIDE";

const ENTER: [&str; 9] =
    ["--pdeathsig=KILL", "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"];

/// Where a program finds itself.
#[derive(Debug)]
pub enum Place {
    /// In its own namespaces: go on.
    Inside,
    /// Outside, and this is how it went inside.
    Outside(ExitStatus),
    /// Outside, and it cannot get in.
    Locked { why: String },
}

/// Starts this program again inside, with the same arguments and the same terminal, and ahead of ordinary programs: a client that asks
/// late would make an answer look late. Not in real time, where two labs that wait for the kernel's lock on links starve its owner.
pub fn enter() -> Place {
    match go(&["nice", "-n", "-15"], std::env::args_os().skip(1).collect(), Stdio::inherit) {
        Ok(None) => Place::Inside,
        Ok(Some(output)) => Place::Outside(output.status),
        Err(why) => Place::Locked { why },
    }
}

/// Runs `body` of the test called `name` inside, if `programs` are installed; else says on standard error that it is skipped, and why.
/// (The test runner swallows what a passing test prints, but not what it writes.)
pub fn test(name: &str, programs: &[&str], body: impl FnOnce()) {
    let skip = |why: &str| skip(name, why);
    if let Some(absent) = programs.iter().find(|program| !installed(program)) {
        return skip(&format!("'{absent}' is not installed"));
    }
    match go(&[], ["--exact", name, "--nocapture"].map(OsString::from).to_vec(), Stdio::piped) {
        Ok(None) => body(),
        Ok(Some(output)) => {
            println!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
            assert!(output.status.success(), "inside: {}", output.status);
            let ran = String::from_utf8_lossy(&output.stdout).contains("test result: ok. 1 passed");
            assert!(ran, "there is no test called '{name}' inside");
        }
        Err(why) => skip(&why),
    }
}

/// Says that the test called `name` does not run, and why: on a line of its own, whatever the runner has begun to print.
pub fn skip(name: &str, why: &str) {
    // `eprintln!` would be captured by the runner.
    let _ = std::io::stderr().write_all(format!("\nSKIPPED {name}: {why}\n").as_bytes());
}

/// Whether `program` is a file, or a name found where system programs are.
pub fn installed(program: &str) -> bool {
    ["", "/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"]
        .iter()
        .any(|folder| std::path::Path::new(&format!("{folder}{program}")).is_file())
}

/// Nothing if this is inside already; otherwise how the inner program ended.
fn go(scheduler: &[&str], arguments: Vec<OsString>, streams: fn() -> Stdio) -> Result<Option<Output>, String> {
    if std::env::var_os(INSIDE).is_some() {
        furnish();
        return Ok(None);
    }
    if !nix::unistd::geteuid().is_root() {
        return Err("network namespaces with real speakers need root".into());
    }
    // Where namespaces are refused altogether the test cannot run; that is told apart from a test that fails inside.
    let probe =
        Command::new("setpriv").args(ENTER).arg("true").output().map_err(|error| format!("setpriv: {error}"))?;
    if !probe.status.success() {
        return Err(format!("no namespaces here: {}", String::from_utf8_lossy(&probe.stderr).trim()));
    }
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut inner = Command::new("setpriv");
    inner.args(ENTER).args(scheduler).arg(program).args(arguments).env(INSIDE, "1");
    inner.stdin(Stdio::null()).stdout(streams()).stderr(streams());
    inner.spawn().and_then(std::process::Child::wait_with_output).map(Some).map_err(|error| error.to_string())
}

/// Gives the inner world places of its own where daemons leave sockets, pid files and crash logs, and a `/sys` that shows its network.
fn furnish() {
    for (kind, place) in [("tmpfs", "/run"), ("tmpfs", "/var/tmp"), ("sysfs", "/sys")] {
        let status = Command::new("mount").args(["-t", kind, kind, place]).status().unwrap();
        assert!(status.success() && status.signal().is_none(), "cannot mount {place}");
    }
}
