//! The plan of the whole host: each subject's plan in the order in which one rests on the other.

use super::{Action, Desired, Observed};
use crate::plan::{Blocked, Hold, Part, Plan};
use crate::systemd::{self, Unit};
use crate::{etcd, network, pki, vrrp};

/// What has to be done on this host, and what is not done, from one observation.
///
/// Network and VRRP never wait for etcd, nor etcd for them: the VIP must not depend on the cluster behind it.
pub fn plan(desired: &Desired, observed: &Observed) -> Plan<Action> {
    if desired.is_leaving() {
        return leave(desired, observed);
    }
    let mut plan = Plan::default();
    plan.extend(vip(desired, observed));
    let keys = pki::plan::plan(&desired.pki(), &observed.pki).map(Action::Pki);
    let keys_in_place = keys.is_empty();
    plan.extend(keys);
    if keys_in_place {
        plan.extend(etcd::plan::plan(&desired.etcd(), &observed.etcd).map(Action::Etcd));
    } else {
        plan.block(Blocked {
            part: Part::Etcd,
            hold: Hold::Waiting,
            what: "be a member".into(),
            why: "this host's key and certificate are not in place".into(),
            unblock: "the node bundle being installed, see 'pki'".into(),
        });
    }
    plan
}

/// A host that the manifest names no more gives the VIP up at once, and its membership as soon as the others can spare it.
fn leave(desired: &Desired, observed: &Observed) -> Plan<Action> {
    let why = format!("generation {} does not name this master", desired.manifest().generation);
    let mut plan = systemd::plan::stopped(Unit::Vrrpd, &observed.vrrp.unit, Part::Vrrp, &why)
        .map(|action| Action::Vrrp(vrrp::Action::Unit(action)));
    plan.extend(etcd::plan::plan(&desired.etcd(), &observed.etcd).map(Action::Etcd));
    plan
}

/// The virtual router rests on the link that was found for it.
fn vip(desired: &Desired, observed: &Observed) -> Plan<Action> {
    match network::plan::carrier(&desired.network(), &observed.network) {
        Ok(link) => vrrp::plan::plan(&desired.vrrp(&link.name), &observed.vrrp).map(Action::Vrrp),
        // What runs stays: the daemon itself gives the VIP up when its link goes, and takes it back when it returns.
        Err(blocked) => Plan { steps: Vec::new(), blocked },
    }
}
