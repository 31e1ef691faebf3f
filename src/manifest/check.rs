//! What must hold between the fields of a manifest: the rows of the refusal matrix that the file alone decides.
//!
//! Each rule has a name (`rule`), a test, and a row in `spec/manifest.md`. What needs the host (does the label name a
//! link, is the VIP in its subnet, which master is this) or the manifest in force (may these masters follow those) is
//! judged where that is known. A field that could not be read has been reported; rules skip it.

mod recovery;

use super::document::{Document, Master, Probe, Spec, Vip, Vrrp};
use super::scalar::Milliseconds;
use super::{Environment, Transport, VrrpVersion, parse};
use crate::ident::Generation;
use crate::quorum::policy::{self, Verdict};
use crate::yaml::Place;
use crate::yaml::finding::{Finding, Weight};
use crate::yaml::read::Written;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Everything that is wrong between the fields of a document, `unread` being what was wrong with the fields themselves.
pub(super) fn document(document: &Document, unread: &[Finding]) -> Vec<Finding> {
    let mut found = Found { unread, list: Vec::new() };
    let generation = document.metadata.as_ref().and_then(|metadata| {
        let metadata = &metadata.value;
        if let (Some(issued), Some(expires)) = (&metadata.issued_at, &metadata.expires_at)
            && expires.value <= issued.value
        {
            found.invalid(
                "expires-before-issued",
                "metadata.expiresAt",
                &expires.place,
                format!("it expires at {}, before it is issued", expires.value),
                "no host would ever accept it",
                "write a time after 'issuedAt', or leave 'expiresAt' out",
            );
        }
        metadata.generation.as_ref().map(|written| Generation(written.value.number))
    });
    let Some(spec) = document.spec.as_ref().map(|spec| &spec.value) else { return found.list };
    count(spec, generation, &mut found);
    if let Some(vip) = &spec.vip {
        vip_addresses(&vip.value, &mut found);
    }
    masters(spec, &mut found);
    networks(spec, &mut found);
    vrrp(spec, &mut found);
    for (at, probe) in spec.health.iter().flat_map(|health| health.value.iter().enumerate()) {
        probe_target(at, probe, &mut found);
    }
    if let Some(etcd) = &spec.etcd {
        let issued = document.metadata.as_ref().and_then(|metadata| metadata.value.issued_at.as_ref());
        recovery::check(etcd, spec.masters.as_ref(), issued, &mut found);
    }
    found.list
}

/// Collects findings in the words of this file.
struct Found<'a> {
    unread: &'a [Finding],
    list: Vec<Finding>,
}

impl Found<'_> {
    /// Whether everything written below `field` could be read: a value that was reported is not missing.
    fn all_read(&self, field: &str) -> bool {
        !self.unread.iter().any(|finding| finding.field.starts_with(field))
    }

    fn add(&mut self, weight: Weight, rule: &'static str, field: &str, place: &Place, words: [String; 3]) {
        let [what, why, instead] = words;
        let (field, place, related) = (field.to_owned(), place.clone(), Vec::new());
        self.list.push(Finding { weight, rule, field, place, what, why, instead, related });
    }

    fn invalid(&mut self, rule: &'static str, field: &str, place: &Place, what: String, why: &str, instead: &str) {
        self.add(Weight::Invalid, rule, field, place, [what, why.into(), instead.into()]);
    }

    /// Adds another place to the latest finding.
    fn see(&mut self, place: &Place, what: impl Into<String>) {
        if let Some(finding) = self.list.last_mut() {
            finding.related.push((place.clone(), what.into()));
        }
    }
}

/// The number of masters, as the quorum policy judges it.
fn count(spec: &Spec, generation: Option<Generation>, found: &mut Found<'_>) {
    // Without a readable generation, an acknowledgement is judged as on the first.
    let generation = generation.unwrap_or(Generation(1));
    let Some(masters) = &spec.masters else { return };
    let environment = spec.environment.as_ref().map_or(Environment::Production, |written| written.value);
    let acknowledged =
        spec.acknowledge.as_ref().map_or_else(Default::default, |written| parse::acknowledgements(&written.value));
    let count = masters.value.len();
    let (what, are) = if count == 1 { ("1 master".to_owned(), "is") } else { (format!("{count} masters"), "are") };
    let mut add = |weight, words| found.add(weight, "master-count", "spec.masters", &masters.place, words);
    match policy::judge(count, environment, generation, &acknowledged) {
        Verdict::Accepted => {}
        Verdict::AcceptedWithWarning { why } => {
            add(Weight::Warning, [what, why, "run 'quorate tolerance' for the whole table".into()]);
        }
        Verdict::Refused { why, instead } => add(Weight::Unsafe, [format!("{what} {are} refused"), why, instead]),
    }
}

/// Which kind of address cannot belong to one host, with the reason.
fn unusable(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() {
        Some("the unspecified address")
    } else if address.is_loopback() {
        Some("a loopback address: it is another host's own on every host")
    } else if address.is_multicast() {
        Some("a multicast address: it belongs to no single host")
    } else if address == IpAddr::V4(Ipv4Addr::BROADCAST) {
        Some("the broadcast address: it belongs to no single host")
    } else if link_local {
        Some("a link-local address: it means nothing without the link it is on")
    } else if matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
        Some("an IPv4 address in IPv6 clothes: write it as IPv4")
    } else {
        None
    }
}

fn vip_addresses(vip: &Vip, found: &mut Found<'_>) {
    let Some(addresses) = &vip.addresses else { return };
    let field = |at: usize| format!("spec.vip.addresses[{at}]");
    if addresses.value.is_empty() {
        found.invalid(
            "no-vip",
            "spec.vip.addresses",
            &addresses.place,
            "the cluster has no virtual IP".into(),
            "without it clients depend on one master",
            "write one unused address of the masters' subnet, for example '[10.20.0.100]'",
        );
    }
    for (at, address) in addresses.value.iter().enumerate() {
        if let Some(what) = unusable(address.value) {
            found.invalid(
                "unusable-address",
                &field(at),
                &address.place,
                format!("'{}' cannot be a virtual IP", address.value),
                &format!("it is {what}"),
                "write an unused address of the subnet that the masters share",
            );
        }
        let same_family = |other: &&Written<IpAddr>| other.value.is_ipv4() == address.value.is_ipv4();
        if let Some(first) = addresses.value.iter().take(at).find(same_family) {
            let family = if address.value.is_ipv4() { "IPv4" } else { "IPv6" };
            found.invalid(
                "vip-family",
                &field(at),
                &address.place,
                format!("a second {family} virtual IP"),
                "one virtual router carries one address of a family",
                "keep one IPv4 address, one IPv6 address, or one of each",
            );
            found.see(&first.place, "the first");
        }
    }
}

fn masters(spec: &Spec, found: &mut Found<'_>) {
    let Some(masters) = &spec.masters else { return };
    let mut taken: BTreeMap<(&str, String), Place> = BTreeMap::new();
    for (at, master) in masters.value.iter().enumerate() {
        let Master { name, address, identity, .. } = &master.value;
        let field = |key: &str| format!("spec.masters[{at}].{key}");
        // Whatever tells masters apart may be written once.
        let identity_value = identity.as_ref().map(|written| &written.value);
        let properties = [
            ("name", name.as_ref().map(|name| (name.value.to_string(), &name.place))),
            ("address", address.as_ref().map(|address| (address.value.to_string(), &address.place))),
            (
                "identity.machineId",
                identity_value
                    .and_then(|identity| identity.machine_id.as_ref())
                    .map(|id| (id.value.to_string(), &id.place)),
            ),
            (
                "identity.mac",
                identity_value
                    .and_then(|identity| identity.mac.as_ref())
                    .map(|mac| (mac.value.to_string(), &mac.place)),
            ),
            (
                "identity.hostname",
                identity_value
                    .and_then(|identity| identity.hostname.as_ref())
                    .map(|hostname| (hostname.value.0.to_ascii_lowercase(), &hostname.place)),
            ),
            (
                "identity.serial",
                identity_value
                    .and_then(|identity| identity.serial.as_ref())
                    .map(|serial| (serial.value.0.to_ascii_lowercase(), &serial.place)),
            ),
            (
                "identity.uuid",
                identity_value
                    .and_then(|identity| identity.uuid.as_ref())
                    .map(|uuid| (uuid.value.0.clone(), &uuid.place)),
            ),
        ];
        for (key, written) in properties {
            let Some((text, place)) = written else { continue };
            if let Some(first) = taken.get(&(key, text.clone())) {
                let (rule, why) = match key {
                    "name" => ("duplicate-name", "etcd tells members apart by name, and people do"),
                    "address" => {
                        ("duplicate-address", "two masters with one address are one master: the quorum is an illusion")
                    }
                    _ => ("duplicate-identity", "a host could not tell which of the two masters it is"),
                };
                let what = format!("'{text}' is the {} of two masters", key.trim_start_matches("identity."));
                found.invalid(rule, &field(key), place, what, why, "give each master its own");
                found.see(first, "first used here");
            } else {
                taken.insert((key, text), place.clone());
            }
        }
        if let Some(written) = identity
            && written.value.is_empty()
            && found.all_read(&field("identity"))
        {
            found.invalid(
                "empty-identity",
                &field("identity"),
                &written.place,
                "this identity names nothing".into(),
                "no host could recognise itself",
                "write 'machineId', 'mac' or 'hostname' of that host",
            );
        }
        let Some(address) = address else { continue };
        if let Some(what) = unusable(address.value) {
            found.invalid(
                "unusable-address",
                &field("address"),
                &address.place,
                format!("'{}' cannot be the address of a master", address.value),
                &format!("it is {what}"),
                "write the address at which the other masters reach it",
            );
        }
        let vips = spec.vip.as_ref().and_then(|vip| vip.value.addresses.as_ref());
        if let Some(vip) = vips.and_then(|vips| vips.value.iter().find(|vip| vip.value == address.value)) {
            found.invalid(
                "vip-is-master",
                &field("address"),
                &address.place,
                format!("'{}' is the virtual IP and the address of a master", address.value),
                "the virtual IP moves between masters, and this master would lose its own address with it",
                "use an address that no host has as the virtual IP",
            );
            found.see(&vip.place, "the virtual IP");
        }
    }
}

/// The VIP and the masters stay out of the ranges that the cluster gives to pods and services.
fn networks(spec: &Spec, found: &mut Found<'_>) {
    let Some(networks) = spec.networks.as_ref().map(|written| &written.value) else { return };
    let mut addresses: Vec<(String, &Written<IpAddr>)> = Vec::new();
    if let Some(vips) = spec.vip.as_ref().and_then(|vip| vip.value.addresses.as_ref()) {
        addresses.extend(vips.value.iter().enumerate().map(|(at, vip)| (format!("spec.vip.addresses[{at}]"), vip)));
    }
    for (at, master) in spec.masters.iter().flat_map(|masters| masters.value.iter().enumerate()) {
        addresses.extend(master.value.address.as_ref().map(|address| (format!("spec.masters[{at}].address"), address)));
    }
    for (what, ranges) in [("pods", &networks.pods), ("services", &networks.services)] {
        for range in ranges.iter().flat_map(|ranges| &ranges.value) {
            for (field, address) in &addresses {
                if range.value.contains(address.value) {
                    found.invalid(
                        "address-in-cluster-range",
                        field,
                        &address.place,
                        format!("'{}' lies in the range of the {what}", address.value),
                        &format!("packets for it would be taken for packets to {what}"),
                        "use an address outside the cluster's own ranges",
                    );
                    found.see(&range.place, format!("the range of the {what}"));
                }
            }
        }
    }
}

fn vrrp(spec: &Spec, found: &mut Found<'_>) {
    let Some(vrrp) = spec.vrrp.as_ref().map(|written| &written.value) else { return };
    if let Some(interval) = &vrrp.advertise_interval {
        let Milliseconds(ms) = interval.value;
        if !(10..=40_950).contains(&ms) || ms % 10 != 0 {
            found.invalid(
                "advertise-interval",
                "spec.vrrp.advertiseInterval",
                &interval.place,
                format!("{ms}ms between advertisements cannot be said in VRRP"),
                "the protocol carries it in 12 bits of hundredths of a second (RFC 9568 §5.2.7)",
                "write 10ms to 40950ms in steps of 10ms, for example 100ms",
            );
        }
    }
    preempt_delay(vrrp, found);
    version_2(spec, vrrp, found);
    let unicast = vrrp.transport.as_ref().filter(|written| written.value == Transport::Unicast);
    let vips = spec.vip.as_ref().and_then(|vip| vip.value.addresses.as_ref());
    let (Some(unicast), Some(vips), Some(masters)) = (unicast, vips, &spec.masters) else { return };
    for vip in &vips.value {
        let other_family = masters.value.iter().find_map(|master| {
            master.value.address.as_ref().filter(|address| address.value.is_ipv4() != vip.value.is_ipv4())
        });
        if let Some(master) = other_family {
            let family = if vip.value.is_ipv4() { "IPv4" } else { "IPv6" };
            found.invalid(
                "unicast-family",
                "spec.vrrp.transport",
                &unicast.place,
                format!("unicast cannot announce the {family} virtual IP '{}' to '{}'", vip.value, master.value),
                "each family has its own advertisements, sent to addresses of that family (RFC 9568 §5.1)",
                &format!("write 'transport: multicast', or give every master an {family} address"),
            );
            found.see(&master.place, format!("not {family}"));
        }
    }
}

fn preempt_delay(vrrp: &Vrrp, found: &mut Found<'_>) {
    let Some(delay) = &vrrp.preempt_delay else { return };
    if delay.value.0 > 600_000 {
        found.invalid(
            "preempt-delay",
            "spec.vrrp.preemptDelay",
            &delay.place,
            format!("{}ms before a preferred master takes over", delay.value.0),
            "who wants to wait longer wants it not to happen by itself",
            "write at most 10min, or 'preempt: false'",
        );
    } else if !vrrp.preempt.as_ref().is_some_and(|written| written.value) {
        found.invalid(
            "preempt-delay",
            "spec.vrrp.preemptDelay",
            &delay.place,
            "a delay before something that does not happen".to_owned(),
            "without 'preempt: true' a working master is left alone however long a preferred one is back",
            "write 'preempt: true' with it, or leave it out",
        );
    }
}

/// What VRRPv2 cannot say (RFC 3768 §5).
fn version_2(spec: &Spec, vrrp: &Vrrp, found: &mut Found<'_>) {
    let Some(version) = vrrp.version.as_ref().filter(|written| written.value == VrrpVersion::V2) else { return };
    if let Some(interval) = &vrrp.advertise_interval
        && (interval.value.0 % 1000 != 0 || interval.value.0 > 40_000)
    {
        found.invalid(
            "vrrp-version",
            "spec.vrrp.version",
            &version.place,
            format!("VRRPv2 cannot advertise every {}ms", interval.value.0),
            "it carries the interval in whole seconds (RFC 3768 §5.3.7)",
            "write 'version: v3', or 'advertiseInterval: 1s'",
        );
        found.see(&interval.place, "not whole seconds".to_owned());
    }
    let vips = spec.vip.as_ref().and_then(|vip| vip.value.addresses.as_ref());
    if let Some(vip) = vips.and_then(|vips| vips.value.iter().find(|vip| vip.value.is_ipv6())) {
        found.invalid(
            "vrrp-version",
            "spec.vrrp.version",
            &version.place,
            format!("VRRPv2 cannot announce '{}'", vip.value),
            "it has no IPv6 (RFC 3768 §5)",
            "write 'version: v3'",
        );
        found.see(&vip.place, "not IPv4".to_owned());
    }
}

fn probe_target(at: usize, probe: &Written<Probe>, found: &mut Found<'_>) {
    let Probe { https, http, tcp, interval, .. } = &probe.value;
    let targets = usize::from(https.is_some()) + usize::from(http.is_some()) + usize::from(tcp.is_some());
    if targets != 1 && found.all_read(&format!("spec.health[{at}]")) {
        found.invalid(
            "probe-target",
            &format!("spec.health[{at}]"),
            &probe.place,
            format!("a probe asks one thing, this one {}", if targets == 0 { "nothing" } else { "several" }),
            "its rise and fall count the answers of one target",
            "write one of 'https', 'http' and 'tcp' per probe",
        );
    }
    if let Some(written) = interval
        && !(100..=60_000).contains(&written.value.0)
    {
        found.invalid(
            "probe-interval",
            &format!("spec.health[{at}].interval"),
            &written.place,
            format!("{}ms between probes", written.value.0),
            "faster probes load what they watch, slower ones notice nothing in time",
            "write 100ms to 60s, for example 1s",
        );
    }
}
