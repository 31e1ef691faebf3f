//! A virtual router as every speaker is asked to run it, and what the protocol lets one expect of it.

use super::frame::Form;
use std::net::IpAddr;
use std::time::Duration;

/// Protocol version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V2,
    V3,
}

/// One virtual router on one host. Nobody preempts.
#[derive(Debug, Clone)]
pub struct Router {
    pub vrid: u8,
    pub version: Version,
    pub interval_cs: u32,
    pub priority: u8,
    /// The first IPv6 one is link-local (RFC 9568 §5.2.9).
    pub addresses: Vec<IpAddr>,
    /// The other hosts, for unicast; none means multicast.
    pub peers: Vec<IpAddr>,
    /// The checksum sent, where there is a choice.
    pub form: Form,
}

impl Router {
    pub fn interval(&self) -> Duration {
        Duration::from_millis(u64::from(self.interval_cs) * 10)
    }

    /// Skew_Time (RFC 9568 §6.1; RFC 3768 §6.1 counts in whole seconds).
    pub fn skew(&self) -> Duration {
        let unit = match self.version {
            Version::V3 => self.interval(),
            Version::V2 => Duration::from_secs(1),
        };
        unit * (256 - u32::from(self.priority)) / 256
    }

    /// Master_Down_Interval (RFC 9568 §6.1).
    pub fn down(&self) -> Duration {
        self.interval() * 3 + self.skew()
    }

    /// The address that clients use: the last one.
    pub fn vip(&self) -> IpAddr {
        *self.addresses.last().unwrap()
    }

    /// The same router with another priority.
    pub fn with_priority(&self, priority: u8) -> Self {
        Self { priority, ..self.clone() }
    }
}
