//! FRR's vrrpd, as Debian packages it, with the zebra through which it sees and moves links.
//!
//! FRR holds a virtual address on a macvlan whose hardware address is the virtual router's (RFC 9568 §7.3); making that link is left to
//! the administrator, here to [`start`]. FRR takes the link's carrier away while it is Backup.

use super::lab::Host;
use super::process::Process;
use super::router::{Router, Version};
use super::speaker;
use std::fmt::Write;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Where Debian keeps FRR's daemons.
pub const ZEBRA: &str = "/usr/lib/frr/zebra";
pub const VRRPD: &str = "/usr/lib/frr/vrrpd";

/// Starts zebra and vrrpd with `routers`; their files go to `directory`.
pub fn start(host: &Host, routers: &[Router], directory: &Path) -> Vec<Process> {
    let mut text = String::from("log stdout debugging\ndebug vrrp\ninterface eth0\n");
    for router in routers {
        link(host, router);
        interface(&mut text, router);
    }
    // The backup's addresses are still on the host, on a link without carrier: eth0 must not answer for them.
    host.namespace.sysctl("ipv4.conf.all.arp_ignore", "1");
    // They give up root for a user of their own, who writes here.
    std::fs::set_permissions(directory, Permissions::from_mode(0o777)).unwrap();
    let (zebra, vrrpd) = (directory.join("zebra.conf"), directory.join("vrrpd.conf"));
    std::fs::write(&zebra, "log stdout\n").unwrap();
    std::fs::write(&vrrpd, text).unwrap();
    let daemon = |mut command: Command, config: &Path, name: &str| {
        command.args(["-P", "0"]).arg("-f").arg(config);
        command.arg("-i").arg(directory.join(format!("{name}.pid"))).arg("-z").arg(directory.join("zserv"));
        command.arg("--vty_socket").arg(directory);
        Process::start(&host.namespace, command, None, &directory.join("log"))
    };
    let zebra = daemon(Command::new(ZEBRA), &zebra, "zebra");
    for _ in 0..200 {
        if directory.join("zserv").exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    vec![zebra, daemon(speaker::command(VRRPD), &vrrpd, "vrrpd")]
}

/// Makes the macvlan of `router`, unless an earlier start has.
fn link(host: &Host, router: &Router) {
    let family = if router.vip().is_ipv4() { 4 } else { 6 };
    let name = format!("vrrp{family}-{}", router.vrid);
    let exists = host.namespace.within(|| nix::net::if_::if_nametoindex(name.as_str()).is_ok());
    if exists {
        return;
    }
    let block = if family == 4 { 1 } else { 2 };
    host.namespace.run(&format!("ip link add {name} link eth0 type macvlan mode bridge"));
    host.namespace.run(&format!("ip link set {name} address 00:00:5e:00:{block:02x}:{:02x}", router.vrid));
    for address in &router.addresses {
        // With the length of the network it is in: FRR looks for the link of its own addresses by that.
        let length = if address.is_ipv4() { "/16" } else { "/64 nodad" };
        host.namespace.run(&format!("ip addr add {address}{length} dev {name}"));
    }
    host.namespace.run(&format!("ip link set {name} up"));
}

fn interface(text: &mut String, router: &Router) {
    let version = match router.version {
        Version::V2 => 2,
        Version::V3 => 3,
    };
    let vrid = router.vrid;
    let mut line = |line: String| writeln!(text, " {line}").unwrap();
    line(format!("vrrp {vrid} version {version}"));
    line(format!("vrrp {vrid} priority {}", router.priority));
    line(format!("vrrp {vrid} advertisement-interval {}", router.interval_cs * 10));
    line(format!("no vrrp {vrid} preempt"));
    for address in &router.addresses {
        line(format!("vrrp {vrid} {} {address}", if address.is_ipv4() { "ip" } else { "ipv6" }));
    }
}
