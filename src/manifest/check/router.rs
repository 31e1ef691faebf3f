//! What VRRP can say, and what it would not do.

use super::Found;
use crate::manifest::document::{Spec, Vrrp};
use crate::manifest::scalar::Milliseconds;
use crate::manifest::{Transport, VrrpVersion};

pub(super) fn vrrp(spec: &Spec, found: &mut Found<'_>) {
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
