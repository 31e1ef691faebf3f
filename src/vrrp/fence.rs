//! The kernel lease: what lets go of the VIP by itself when the daemon is frozen, starved or dead.
//!
//! A netdev chain on the link drops everything that is for a virtual address unless that address stands in a set whose elements
//! time out. Each advertisement extends the element to [`super::machine::lease`] after its sending, which is before any peer can
//! take over. On the way out it drops ARP and IPv6 from an address that is not held, so that a frozen host's open connections
//! do not draw its neighbours back.
//!
//! This file only says what the rules are; the unit loads them, [`super::lease`] extends the elements.
//!
//! IPv6 resolves an address by asking the group made of its last 24 bits (RFC 4291 §2.7.1), so that group is fenced together with the
//! address. A master whose own address shares the last 24 bits of the VIP would be fenced with it: choose another VIP.

use super::config::Config;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv6Addr};

/// The table in the netdev family; ours alone.
pub const TABLE: &str = "quorate_vrrp";
/// Frames of our own announcements carry this mark, so that they pass before the lease is in force.
pub const ANNOUNCEMENT_MARK: u32 = 112;

/// Which set of a family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Set {
    /// Addresses that are answered for only while held.
    Fenced,
    /// Addresses held now, each for its lease.
    Held,
}

impl Set {
    /// Its name in the table; keys of one length each, hence one set per family.
    pub fn name(self, key: IpAddr) -> &'static str {
        match (self, key) {
            (Set::Fenced, IpAddr::V4(_)) => "fenced4",
            (Set::Fenced, IpAddr::V6(_)) => "fenced6",
            (Set::Held, IpAddr::V4(_)) => "held4",
            (Set::Held, IpAddr::V6(_)) => "held6",
        }
    }
}

/// The keys that stand for a virtual address: itself, and over IPv6 its solicited-node group.
pub fn keys(vip: IpAddr) -> impl Iterator<Item = IpAddr> {
    let group = match vip {
        IpAddr::V4(_) => None,
        IpAddr::V6(vip) => {
            let [.., a, b, c] = vip.octets();
            let tail = (u16::from_be_bytes([0xff, a]), u16::from_be_bytes([b, c]));
            Some(IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, tail.0, tail.1)))
        }
    };
    std::iter::once(vip).chain(group)
}

/// The rules for `nft -f`: replaces the table as a whole, so that loading twice is loading once.
pub fn rules(config: &Config) -> String {
    let links: BTreeSet<&str> = config.routers.iter().map(|router| router.link.as_str()).collect();
    let keys: BTreeSet<IpAddr> =
        config.routers.iter().flat_map(|router| &router.addresses).flat_map(|vip| keys(*vip)).collect();
    let mut text = format!("table netdev {TABLE}\ndelete table netdev {TABLE}\ntable netdev {TABLE} {{\n");
    for (family, key_type, of_family) in [
        ("4", "ipv4_addr", IpAddr::is_ipv4 as fn(&IpAddr) -> bool),
        ("6", "ipv6_addr", IpAddr::is_ipv6 as fn(&IpAddr) -> bool),
    ] {
        let elements: Vec<String> = keys.iter().filter(|key| of_family(key)).map(ToString::to_string).collect();
        let elements =
            if elements.is_empty() { String::new() } else { format!("elements = {{ {} }}; ", elements.join(", ")) };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  set fenced{family} {{ type {key_type}; {elements}}}");
        let _ = writeln!(text, "  set held{family} {{ type {key_type}; flags timeout; }}");
    }
    for (number, link) in links.iter().enumerate() {
        // Before everything else that looks at frames there: priority -500 is the first that nft users reach for.
        let _ = writeln!(
            text,
            "  chain in{number} {{\n    type filter hook ingress device \"{link}\" priority -500; policy accept;\n    \
             ip daddr @fenced4 ip daddr != @held4 counter drop\n    \
             arp daddr ip @fenced4 arp daddr ip != @held4 counter drop\n    \
             ip6 daddr @fenced6 ip6 daddr != @held6 counter drop\n  }}\n  \
             chain out{number} {{\n    type filter hook egress device \"{link}\" priority -500; policy accept;\n    \
             meta mark {ANNOUNCEMENT_MARK} accept\n    \
             arp saddr ip @fenced4 arp saddr ip != @held4 counter drop\n    \
             ip saddr @fenced4 ip saddr != @held4 counter drop\n    \
             ip6 saddr @fenced6 ip6 saddr != @held6 counter drop\n  }}"
        );
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_address_stands_with_its_solicited_node_group() {
        let text = |vip: &str| -> Vec<String> { keys(vip.parse().unwrap()).map(|key| key.to_string()).collect() };
        assert_eq!(text("10.9.0.100"), ["10.9.0.100"]);
        assert_eq!(text("fe80::70:33"), ["fe80::70:33", "ff02::1:ff70:33"]);
        assert_eq!(text("2001:db8::1:2:100"), ["2001:db8::1:2:100", "ff02::1:ff02:100"]);
    }

    #[test]
    fn the_rules_replace_their_table_and_name_every_link_once() {
        let router = |vrid: u8, link: &str, vip: &str| {
            serde_json::json!({
                "vrid": vrid, "link": link, "priority": 254, "unhealthyPriority": 238, "healthyFrom": 252,
                "advertIntervalCs": 10, "preempt": "never", "transport": "multicast", "addresses": [vip]
            })
        };
        let routers =
            [router(1, "eth0", "10.9.0.100"), router(2, "eth0", "fe80::70:33"), router(3, "eth1", "10.8.0.1")];
        let config = Config::parse(serde_json::json!({ "routers": routers }).to_string().as_bytes()).unwrap();
        let rules = rules(&config);
        assert!(rules.starts_with("table netdev quorate_vrrp\ndelete table netdev quorate_vrrp\n"));
        assert_eq!(rules.matches("hook ingress device \"eth0\"").count(), 1);
        assert_eq!(rules.matches("hook ingress device \"eth1\"").count(), 1);
        assert!(rules.contains("set fenced4 { type ipv4_addr; elements = { 10.8.0.1, 10.9.0.100 }; }"), "{rules}");
        assert!(rules.contains("elements = { fe80::70:33, ff02::1:ff70:33 }"), "{rules}");
    }
}
