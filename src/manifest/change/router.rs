//! What changes for the virtual IP and who holds it.

use super::{Effects, both};
use crate::manifest::{Manifest, Master, Probe, ProbeTarget, Transport};
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
    for (was, is) in both(before, after) {
        let (from, to) = (before.interface_of(was), after.interface_of(is));
        if from != to {
            add(
                format!("'{}' carries the virtual IP on '{to}' instead of '{from}'", is.name),
                "its daemon moves to the other link",
                Some("if the label matches no link there, this master stops standing in for the virtual IP"),
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
        let ms = |centiseconds: u16| u32::from(centiseconds) * 10;
        add(
            format!(
                "advertisements come every {}ms instead of {}ms",
                ms(is.advertise_interval_cs),
                ms(was.advertise_interval_cs)
            ),
            "backups learn the interval from the active master (RFC 9568 §6.1)",
            None,
        );
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
    format!("{target} every {}ms (fall {}, rise {})", probe.interval.as_millis(), probe.fall, probe.rise)
}
