//! What tells masters apart, and from the virtual IP.

use super::Found;
use super::address::unusable;
use crate::manifest::document::{Master, Spec};
use crate::yaml::Place;
use std::collections::BTreeMap;

pub(super) fn masters(spec: &Spec, found: &mut Found<'_>) {
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
