//! The states of the units that matter here, as systemd gives them over D-Bus.

use super::Entry;
use systemd_zbus::ManagerProxy;
use zbus::Connection;

/// quorate's own, and those that take links and addresses away from it.
const PATTERNS: [&str; 4] = ["quorate*", "etcd*", "systemd-networkd*", "NetworkManager*"];

/// One line per unit.
pub async fn units() -> Entry {
    match read().await {
        Ok(text) => Entry::new("units.txt", text.as_bytes()),
        Err(error) => Entry::missing("units.txt", &error.to_string()),
    }
}

async fn read() -> zbus::Result<String> {
    let connection = Connection::system().await?;
    let manager = ManagerProxy::new(&connection).await?;
    let version = manager.version().await?;
    let mut units = manager.list_units_by_patterns(&[], &PATTERNS).await?;
    units.sort_by(|one, other| one.name.cmp(&other.name));
    let lines =
        units.iter().map(|unit| format!("{:<36} {:?} {:?} {:?}\n", unit.name, unit.load, unit.active, unit.sub_state));
    Ok(format!("systemd {version}\n{}", lines.collect::<String>()))
}
