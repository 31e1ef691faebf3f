//! keepalived, as Debian packages it.

use super::frame::Form;
use super::lab::Host;
use super::process::Process;
use super::router::{Router, Version};
use super::speaker;
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// The keyword for IPv4 checksums of the message alone (RFC 9568 §5.2.8).
pub const SHORT_CHECKSUM: &str = "v3_checksum_as_v2";

/// Starts keepalived with `routers`; its files go to `directory`.
pub fn start(host: &Host, routers: &[Router], directory: &Path) -> Process {
    let (config, log) = (directory.join("keepalived.conf"), directory.join("log"));
    std::fs::write(&config, document(host, routers)).unwrap();
    let mut command = speaker::command("keepalived");
    // In the foreground, logging to the console in detail, VRRP only, its pid files out of the way of other instances.
    command.args(["--dont-fork", "--log-console", "--log-detail", "--vrrp"]);
    command.arg("--use-file").arg(&config);
    command.arg("--pid").arg(directory.join("pid")).arg("--vrrp_pid").arg(directory.join("vrrp.pid"));
    Process::start(&host.namespace, command, None, &log)
}

/// Whether the installed keepalived knows this global keyword; versions differ.
pub fn knows(keyword: &str) -> bool {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("keepalived.conf");
    std::fs::write(&config, format!("global_defs {{\n  {keyword}\n}}\n")).unwrap();
    let test = Command::new("keepalived").arg("--config-test").arg("--use-file").arg(config).output();
    test.is_ok_and(|output| !String::from_utf8_lossy(&output.stderr).contains(&format!("Unknown keyword '{keyword}'")))
}

fn document(host: &Host, routers: &[Router]) -> String {
    let mut text = String::from("global_defs {\n");
    if routers.iter().any(|router| router.version == Version::V3 && router.form == Form::MessageOnly) {
        writeln!(text, "  {SHORT_CHECKSUM}").unwrap();
    }
    text += "}\n";
    for router in routers {
        instance(&mut text, host, router);
    }
    text
}

fn instance(text: &mut String, host: &Host, router: &Router) {
    let version = match router.version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    let (vrid, priority) = (router.vrid, router.priority);
    let interval = f64::from(router.interval_cs) / 100.0;
    let mut line = |line: String| writeln!(text, "{line}").unwrap();
    line(format!("vrrp_instance v{vrid} {{"));
    line(format!("  version {version}\n  state BACKUP\n  nopreempt\n  interface eth0\n  virtual_router_id {vrid}"));
    line(format!("  priority {priority}\n  advert_int {interval}"));
    if let Some(peer) = router.peers.first() {
        line(format!("  unicast_src_ip {}\n  unicast_peer {{", host.address_like(*peer)));
        router.peers.iter().for_each(|peer| line(format!("    {peer}")));
        line("  }".into());
    }
    line("  virtual_ipaddress {".into());
    for address in &router.addresses {
        line(format!("    {address}/{} dev eth0", if address.is_ipv4() { 32 } else { 128 }));
    }
    line("  }\n}".into());
}
