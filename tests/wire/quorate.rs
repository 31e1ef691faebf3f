//! quorate-vrrpd, as its unit runs it.

use super::frame::Form;
use super::lab::Host;
use super::process::{Process, StopStep};
use super::router::{Router, Version};
use super::speaker;
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// The daemon under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_quorate-vrrpd");

/// What systemd takes from the death of the main process to the start of `ExecStopPost=`: the median of 15 kills of
/// quorate-vrrpd.service, sandbox and all, under systemd 257 in a container with two busy cores (39 to 65 ms).
pub const STOP_STEP_LATENCY: Duration = Duration::from_millis(48);

/// Starts the daemon with `routers`; its files go to `directory`.
pub fn start(host: &Host, routers: &[Router], directory: &Path) -> Process {
    let (config, state, log) = (directory.join("vrrpd.json"), directory.join("state.json"), directory.join("log"));
    std::fs::write(&config, document(routers).to_string()).unwrap();
    // Where the kernel has no nftables the daemon runs without, as it does in its unit.
    load_fence(host, &config);
    let command = command(&config, &state);
    let mut release = Command::new(PROGRAM);
    release.arg("--release").arg(&config);
    let commands = vec![release, shell("nft delete table netdev quorate_vrrp")];
    Process::start(&host.namespace, command, Some(StopStep { commands, latency: STOP_STEP_LATENCY }), &log)
}

/// Loads the fence of a configuration as the unit's `ExecStartPre=` does; whether that went well.
pub fn load_fence(host: &Host, config: &Path) -> bool {
    let line = format!("'{PROGRAM}' --fence '{}' | nft -f -", config.display());
    host.namespace.within(|| shell(&line).status()).is_ok_and(|status| status.success())
}

/// The daemon with these files, scheduled as in its unit.
pub fn command(config: &Path, state: &Path) -> Command {
    let mut command = speaker::command(PROGRAM);
    command.arg("--config").arg(config).arg("--state").arg(state);
    command
}

fn shell(line: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn document(routers: &[Router]) -> serde_json::Value {
    let routers: Vec<_> = routers
        .iter()
        .map(|router| {
            json!({
                "vrid": router.vrid,
                "link": "eth0",
                "version": match router.version { Version::V2 => "v2", Version::V3 => "v3" },
                "priority": router.priority,
                "unhealthyPriority": 1,
                "healthyFrom": 200,
                "advertIntervalCs": router.interval_cs,
                "preempt": "never",
                "checksum": match router.form { Form::MessageOnly => "messageOnly", Form::WithPseudoHeader | Form::Wrong => "pseudoHeader" },
                "transport": if router.peers.is_empty() { json!("multicast") } else { json!({ "unicast": { "peers": router.peers } }) },
                "addresses": router.addresses,
            })
        })
        .collect();
    json!({ "routers": routers })
}
