//! The link that all masters share: a bridge, with the lab itself as a client on it.

use super::must;
use std::net::Ipv4Addr;
use std::process::Command;

/// The bridge. It stands in the lab's own network namespace, so its name is free.
pub const BRIDGE: &str = "br-lab";

/// Where the lab itself stands on the link.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 1);

/// The VIP that the manifests of the lab ask for.
pub const VIP: Ipv4Addr = Ipv4Addr::new(10, 20, 0, 100);

/// Makes the bridge and puts the client on it.
pub fn create_bridge() -> anyhow::Result<()> {
    ip(&["link", "add", BRIDGE, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{CLIENT}/24"), "dev", BRIDGE])?;
    ip(&["link", "set", BRIDGE, "up"])
}

/// Plugs a master's port into the bridge.
pub fn plug(port: &str) -> anyhow::Result<()> {
    ip(&["link", "set", port, "master", BRIDGE, "up"])
}

/// Cuts or mends the cable of a port.
pub fn set_port(port: &str, state: Cable) -> anyhow::Result<()> {
    ip(&["link", "set", port, if state == Cable::Plugged { "up" } else { "down" }])
}

/// Whether frames pass a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cable {
    /// They do.
    Plugged,
    /// The master sees a lost carrier.
    Cut,
}

/// Whether a link of that name is there.
pub fn exists(link: &str) -> bool {
    nix::net::if_::if_nametoindex(link).is_ok()
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    must(Command::new("ip").args(arguments)).map(drop)
}
