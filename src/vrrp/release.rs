//! What `quorate-vrrpd --release` does, the unit's last step however the daemon ended: if addresses of ours are still on a link,
//! the daemon died as Active. Take them off, and resign in its name, so that a successor starts after its skew instead of
//! three intervals of silence.
//!
//! The addresses go first: here nobody is left who could answer for them properly, and the successor must not be the
//! second holder.

use super::address::{self, Owner};
use super::config::{Config, Fence};
use super::fact::LinkView;
use super::links::Links;
use super::netlink::{NetlinkError, Route};
use super::router::Router;
use super::{packet, watch};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// What was found and done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Released {
    /// Addresses that were still on a link, and were taken off.
    pub removed: Vec<IpAddr>,
    /// How many virtual routers resigned.
    pub resigned: usize,
}

/// Takes off every address of ours and resigns for the virtual routers that held them. Goes on after a failure.
///
/// # Errors
/// The first failure.
pub fn release(config: &Config) -> (Released, Result<(), NetlinkError>) {
    let mut released = Released::default();
    let result = Route::open().and_then(|mut route| release_over(&mut route, config, &mut released));
    (released, result)
}

fn release_over(route: &mut Route, config: &Config, released: &mut Released) -> Result<(), NetlinkError> {
    let mut result = Ok(());
    for found in address::all(route)?.into_iter().filter(|found| found.owner == Owner::Us) {
        match address::remove(route, found.index, found.address) {
            Ok(()) => released.removed.push(found.address),
            Err(error) => result = result.and(Err(error)),
        }
    }
    if released.removed.is_empty() {
        return result;
    }
    let mut links = Links::of(config, Links::default());
    let names: BTreeSet<String> = config.routers.iter().map(|router| router.link.clone()).collect();
    for (name, view) in watch::survey(route, &names)? {
        if let Some(link) = links.find(&name) {
            let refused = |source| NetlinkError::Refused { attempt: "open a VRRP socket", source };
            result = result.and(links.change(link, view, |_, _| Ok(())).map_err(refused));
        }
    }
    for wanted in &config.routers {
        let Some(link) = links.find(&wanted.link) else { continue };
        let LinkView::Up { sources, .. } = links.view(link) else { continue };
        if wanted.addresses.iter().any(|address| released.removed.contains(address)) {
            let mut router = Router::new(wanted, link, Fence::LifetimeOnly);
            router.send(&links, sources, packet::RESIGNING);
            released.resigned += usize::from(router.sent_last);
        }
    }
    result
}
