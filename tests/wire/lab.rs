//! Hosts on one switch. Host `i` has `eth0` with 10.77.0.(i+1)/16 and fe80::77:(i+1); its cable ends at port `p{i}` of the switch.

use super::clock::Moment;
use super::namespace::Namespace;
use futures_util::TryStreamExt;
use rtnetlink::LinkUnspec;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The bridge that all cables end at; the observer and the prober stand on it.
pub const SWITCH: &str = "br0";
/// How long the kernel may take to change a link.
const PATIENCE: Duration = Duration::from_secs(10);

/// A switch and its hosts.
#[derive(Debug)]
pub struct Lab {
    pub switch: Namespace,
    pub hosts: Vec<Host>,
}

/// One host.
#[derive(Debug)]
pub struct Host {
    /// Its place: `hosts[index]`.
    pub index: usize,
    pub namespace: Namespace,
    pub v4: Ipv4Addr,
    pub v6: Ipv6Addr,
    /// Kernel index of its port on the switch.
    pub port: u32,
}

impl Lab {
    pub fn new(hosts: u8) -> Self {
        let switch = Namespace::new();
        // Snooping would delay the first multicast frames to a host until its membership report has been seen.
        switch.run(&format!("ip link add {SWITCH} type bridge mcast_snooping 0 stp_state 0 forward_delay 0"));
        switch.run(&format!("ip link set {SWITCH} up"));
        let hosts = (0..hosts).map(|index| Host::plug(index, &switch)).collect();
        Self { switch, hosts }
    }

    /// Takes the port of a host down, as a power cut of the host would; returns when the kernel has done it.
    pub fn port_down(&self, host: &Host) {
        let port = host.port;
        self.switch.within(|| {
            netlink(async |handle| {
                handle.link().set(LinkUnspec::new_with_index(port).down().build()).execute().await.unwrap();
            });
        });
    }
}

impl Host {
    /// Puts one more host on a switch; its place must be free.
    pub fn plug(index: u8, switch: &Namespace) -> Self {
        let namespace = Namespace::new();
        let (v4, v6) =
            (Ipv4Addr::new(10, 77, 0, index + 1), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x77, (index + 1).into()));
        namespace.run("ip link set lo up");
        // Duplicate address detection would keep the link-local address tentative for the first second.
        namespace.sysctl("ipv6.conf.default.accept_dad", "0");
        namespace.sysctl("ipv6.conf.default.addr_gen_mode", "1");
        switch.run(&format!("ip link add p{index} type veth peer name eth0 netns {}", namespace.path()));
        switch.run(&format!("ip link set p{index} master {SWITCH} up"));
        namespace.run(&format!("ip addr add {v4}/16 dev eth0"));
        namespace.run("ip link set eth0 up");
        namespace.run(&format!("ip addr add {v6}/64 dev eth0 nodad"));
        let port = switch.within(|| nix::net::if_::if_nametoindex(format!("p{index}").as_str()).unwrap());
        Self { index: index.into(), namespace, v4, v6, port }
    }

    /// The hardware address of its link.
    pub fn mac(&self) -> [u8; 6] {
        self.namespace.within(|| {
            let mut links = nix::ifaddrs::getifaddrs().unwrap().filter(|entry| entry.interface_name == "eth0");
            links.find_map(|entry| entry.address?.as_link_addr()?.addr()).unwrap()
        })
    }

    /// Its own address in the family of `other`.
    pub fn address_like(&self, other: IpAddr) -> IpAddr {
        if other.is_ipv4() { self.v4.into() } else { self.v6.into() }
    }

    /// Whether a process of this host has a raw socket for VRRP (protocol 112) open.
    pub fn listens(&self) -> bool {
        // The local "port" of a raw socket is its protocol number, in hexadecimal.
        let bound = |table: String| {
            table.lines().skip(1).any(|row| row.split_whitespace().nth(1).is_some_and(|local| local.ends_with(":0070")))
        };
        self.namespace.within(|| {
            ["raw", "raw6"]
                .iter()
                .any(|name| bound(std::fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default()))
        })
    }

    /// Takes `address` off its link, whoever put it there; returns when that was asked for, or nothing if it is on none.
    pub fn remove(&self, address: IpAddr) -> Option<Moment> {
        self.namespace.within(|| {
            netlink(async |handle| {
                let found = handle.address().get().set_address_filter(address).execute().try_next().await.unwrap();
                let asked = Moment::now();
                handle.address().del(found?).execute().await.unwrap();
                Some(asked)
            })
        })
    }

    /// Whether `address` is on one of its links.
    pub fn holds(&self, address: IpAddr) -> bool {
        self.namespace.within(|| {
            nix::ifaddrs::getifaddrs().unwrap().filter_map(|entry| entry.address).any(|found| match address {
                IpAddr::V4(address) => found.as_sockaddr_in().is_some_and(|found| found.ip() == address),
                IpAddr::V6(address) => found.as_sockaddr_in6().is_some_and(|found| found.ip() == address),
            })
        })
    }
}

/// What `work` returns over route netlink in the calling thread's namespace.
fn netlink<T>(work: impl AsyncFnOnce(rtnetlink::Handle) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        tokio::time::timeout(PATIENCE, work(handle)).await.unwrap()
    })
}
