//! The network as quorate needs it: one link that can carry the VIP, and this master's own address.
//!
//! quorate does not configure links: the image's network service does. This part finds the link that the
//! manifest's label means, and says why it cannot carry the VIP. It never adds or removes an address; the VIP
//! has one writer, `quorate-vrrpd`.

pub mod kernel;
pub mod plan;

use crate::ident::{LinkLabel, Mac};
use crate::manifest::{Manifest, Master};
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;

/// What the manifest asks of this host's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Desired {
    /// What the manifest calls the link of the VIP.
    pub label: LinkLabel,
    /// This master's own address; etcd and its peers use it.
    pub address: IpAddr,
    /// The VIP, one address per family.
    pub vips: Vec<IpAddr>,
}

impl Desired {
    /// What `manifest` asks of the host that is `me`.
    pub fn new(manifest: &Manifest, me: &Master) -> Self {
        Self { label: manifest.interface_of(me).clone(), address: me.address, vips: manifest.vip.addresses.clone() }
    }
}

/// What the kernel said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// All links of this network namespace.
    Links(Vec<Link>),
    /// The kernel could not be asked.
    Unknown {
        /// The error, as text.
        why: String,
    },
}

/// One link with its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The kernel's name for it.
    pub name: String,
    /// Its alternative names.
    pub alt_names: Vec<String>,
    /// Its hardware address, when it has one of six octets.
    pub mac: Option<Mac>,
    /// Whether frames can pass.
    pub carrier: Carrier,
    /// Its addresses, each with its prefix length.
    pub addresses: Vec<IpNet>,
    /// The routers that routes over it name.
    pub gateways: Vec<IpAddr>,
}

/// Whether frames can pass a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    /// Switched off by an administrator.
    AdminDown,
    /// Switched on, but without a carrier.
    Absent,
    /// Up.
    Present,
}

impl Link {
    /// Whether `label` means this link: its name, an alternative name, or its MAC address.
    pub fn answers_to(&self, label: &LinkLabel) -> bool {
        let label = label.as_str();
        self.name == label
            || self.alt_names.iter().any(|name| name == label)
            || self.mac.is_some_and(|mac| label.parse() == Ok(mac))
    }
}

impl fmt::Display for Link {
    /// One line that lets an administrator recognise the link.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some(mac) = self.mac {
            write!(f, " [{mac}]")?;
        }
        for name in &self.alt_names {
            write!(f, " ={name}")?;
        }
        f.write_str(match self.carrier {
            Carrier::AdminDown => " down",
            Carrier::Absent => " no carrier",
            Carrier::Present => " up",
        })?;
        self.addresses.iter().try_for_each(|address| write!(f, " {address}"))
    }
}
