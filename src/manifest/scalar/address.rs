//! Addresses of hosts, links and networks.

use crate::ident::Mac;
use crate::yaml::read::Scalar;
use serde_json::{Value as Json, json};
use std::net::IpAddr;

impl Scalar for IpAddr {
    const WHAT: &'static str = "an IP address";
    const EXAMPLE: &'static str = "10.20.0.11";

    fn from_text(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| match text.split_once('/') {
            Some((address, _)) if address.parse::<IpAddr>().is_ok() => {
                "the prefix length belongs to the link, quorate reads it there".to_owned()
            }
            _ => "it is four numbers from 0 to 255 with dots, without leading zeros, or IPv6".to_owned(),
        })
    }

    fn schema() -> Json {
        json!({ "type": "string", "anyOf": [{ "format": "ipv4" }, { "format": "ipv6" }] })
    }
}

impl Scalar for Mac {
    const WHAT: &'static str = "a MAC address";
    const EXAMPLE: &'static str = "\"52:54:00:00:00:01\" in quotes";

    fn from_text(text: &str) -> Result<Self, String> {
        let mac: Mac = text.parse().map_err(|_| "it is six pairs of hexadecimal digits with colons".to_owned())?;
        if mac.0[0] & 1 == 1 || mac.0 == [0; 6] {
            return Err("it names a group of stations or none, not one interface".to_owned());
        }
        Ok(mac)
    }

    fn schema() -> Json {
        json!({ "type": "string", "pattern": "^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$" })
    }
}

/// A range of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    /// Its first address.
    pub address: IpAddr,
    /// How many leading bits all its addresses share.
    pub prefix: u8,
}

impl Cidr {
    /// Whether `address` lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(range), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                u32::from(range) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(range), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                u128::from(range) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

impl Scalar for Cidr {
    const WHAT: &'static str = "an address range";
    const EXAMPLE: &'static str = "10.244.0.0/16";

    fn from_text(text: &str) -> Result<Self, String> {
        let why = || "it is an address, '/' and a prefix length".to_owned();
        let (address, prefix) = text.split_once('/').ok_or_else(why)?;
        let address: IpAddr = address.parse().map_err(|_| why())?;
        let prefix: u8 = prefix.parse().map_err(|_| why())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        if prefix > most { Err(format!("its prefix length is at most {most}")) } else { Ok(Cidr { address, prefix }) }
    }
}
