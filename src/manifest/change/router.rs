//! What changes for the virtual IP and who holds it.

use super::{Effects, both};
use crate::ident::LinkLabel;
use crate::manifest::scalar::Milliseconds;
use crate::manifest::{Manifest, Master, Probe, ProbeTarget, Transport, VrrpChecksum, VrrpVersion};
use crate::plan::Part;
use std::net::IpAddr;

pub(super) fn effects(before: &Manifest, after: &Manifest, effects: &mut Effects) {
    const DEAF: &str = "until every master has it, those with the old and those with the new do not hear each other: the \
                        virtual IP may be held twice";
    let mut add = |what: String, then: &str, risk: Option<&str>| effects.add(Part::Vrrp, what, then, risk);
    if before.vip.addresses != after.vip.addresses {
        add(
            format!("the virtual IP is {} instead of {}", list(&after.vip.addresses), list(&before.vip.addresses)),
            "the active master gives up the old address and takes the new one",
            Some(
                "clients that use the old address lose the API server; with part of the masters on either, both are held",
            ),
        );
    }
    const NO_LINK: &str = "if the label matches no link there, this master stops standing in for the virtual IP";
    let moved: Vec<(&Master, &LinkLabel, &LinkLabel)> = both(before, after)
        .into_iter()
        .map(|(was, is)| (is, before.interface_of(was), after.interface_of(is)))
        .filter(|(_, from, to)| from != to)
        .collect();
    let alike = moved.iter().all(|(_, from, to)| (from, to) == (&moved[0].1, &moved[0].2));
    if moved.len() > 1 && moved.len() == after.masters.len() && alike {
        let (_, from, to) = moved[0];
        add(
            format!("every master carries the virtual IP on '{to}' instead of '{from}'"),
            "its daemon moves to the other link",
            Some(NO_LINK),
        );
    } else {
        for (master, from, to) in moved {
            add(
                format!("'{}' carries the virtual IP on '{to}' instead of '{from}'", master.name),
                "its daemon moves to the other link",
                Some(NO_LINK),
            );
        }
    }
    let (was, is) = (&before.vrrp, &after.vrrp);
    if was.router_id != is.router_id {
        let what = format!("the virtual router is {} instead of {}", is.router_id, was.router_id);
        add(what, "every daemon changes at its host's next run", Some(DEAF));
    }
    if was.transport != is.transport {
        let word = |transport| match transport {
            Transport::Multicast => "multicast",
            Transport::Unicast => "unicast",
        };
        let what = format!("advertisements go by {} instead of {}", word(is.transport), word(was.transport));
        add(what, "every daemon changes at its host's next run", Some(DEAF));
    }
    if was.advertise_interval_cs != is.advertise_interval_cs {
        let shown = |centiseconds: u16| Milliseconds(u64::from(centiseconds) * 10);
        add(
            format!(
                "advertisements come every {} instead of {}",
                shown(is.advertise_interval_cs),
                shown(was.advertise_interval_cs)
            ),
            "backups learn the interval from the active master (RFC 9568 §6.1)",
            None,
        );
    }
    if was.version != is.version {
        let word = |version| match version {
            VrrpVersion::V3 => "VRRPv3",
            VrrpVersion::V2 => "VRRPv2",
        };
        let what = format!("the daemons speak {} instead of {}", word(is.version), word(was.version));
        add(what, "every daemon changes at its host's next run", Some(DEAF));
    }
    if was.checksum != is.checksum {
        let what = match is.checksum {
            VrrpChecksum::PseudoHeader => "checksums cover the pseudo-header, as keepalived and FRR demand",
            VrrpChecksum::MessageOnly => "checksums cover the message alone, which keepalived and FRR do not take",
        };
        add(what.into(), "every daemon changes at its host's next run; each of them takes both forms", None);
    }
    if was.preempt_delay != is.preempt_delay {
        let what = match is.preempt_delay.as_secs() {
            0 => "a preferred master that is back takes the virtual IP at once".to_owned(),
            seconds => format!("a preferred master takes the virtual IP once it has been back for {seconds}s"),
        };
        add(what, "every daemon changes at its host's next run", None);
    }
    if was.preempt != is.preempt {
        let (what, risk) = if is.preempt {
            let risk = "the virtual IP moves whenever a preferred master comes back";
            ("a preferred master that comes back takes the virtual IP from a working one", Some(risk))
        } else {
            ("a working master keeps the virtual IP when a preferred one comes back", None)
        };
        add(what.into(), "every daemon changes at its host's next run", risk);
    }
    let order = |manifest: &Manifest| -> Vec<String> {
        let listed_twice =
            |master: &&Master| before.master(&master.name).is_some() && after.master(&master.name).is_some();
        manifest.masters.iter().filter(listed_twice).map(|master| master.name.to_string()).collect()
    };
    if order(before) != order(after) {
        add(
            format!("masters are preferred in the order {}", order(after).join(", ")),
            "it decides the next election",
            is.preempt.then_some("the virtual IP moves to the first of them that is healthy"),
        );
    }
    if before.health != after.health {
        let probes: Vec<String> = after.health.iter().map(probe).collect();
        let what = if probes.is_empty() { "nothing".to_owned() } else { probes.join(", ") };
        add(
            format!("the health of a master is judged by {what}"),
            "a master that fails gives way to a healthy one; if all fail, the virtual IP stays where it is",
            None,
        );
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" and ")
}

fn probe(probe: &Probe) -> String {
    let (ProbeTarget::Tcp(target) | ProbeTarget::Http(target) | ProbeTarget::Https(target)) = &probe.target;
    let interval = Milliseconds(u64::try_from(probe.interval.as_millis()).unwrap_or(u64::MAX));
    format!("{target} every {interval} (fall {}, rise {})", probe.fall, probe.rise)
}
