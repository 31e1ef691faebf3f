//! One virtual router as the daemon runs it: its machine, and what the machine does not need to know.

use super::config::{self, Fence, Transport};
use super::counters::Counters;
use super::fact::LinkView;
use super::keeper::Place;
use super::links::Links;
use super::machine::{AddressesChanged, Heard, Machine, Obstacle, Sources, State};
use super::packet::{self, ChecksumForm, Datagram, Discard, Family, Outgoing, Remark, Version};
use super::scribe::Standing;
use super::time::Time;
use std::net::IpAddr;
use std::sync::Arc;

/// A virtual router.
#[derive(Debug)]
pub struct Router {
    /// As configured.
    pub config: config::Router,
    /// Its machine.
    pub machine: Machine,
    /// The place of its link among the links.
    pub link: usize,
    /// Where its addresses are kept; the last place known, so that they can be taken off a link that went down.
    pub place: Option<Place>,
    /// Its addresses.
    pub addresses: Arc<[IpAddr]>,
    /// What it counted.
    pub counters: Arc<Counters>,
    /// Whether the last advertisement left in at least one family.
    pub sent_last: bool,
    families: Vec<Outlet>,
    obstacle: Option<Obstacle>,
    told: Option<Standing>,
}

/// A family that it advertises in.
#[derive(Debug)]
struct Outlet {
    family: Family,
    addresses: Vec<IpAddr>,
    destinations: Vec<IpAddr>,
}

/// What came of an accepted datagram.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was odd about it.
    pub remarks: [Option<Remark>; 2],
}

impl Router {
    /// In Initialize, until its link is told.
    pub fn new(config: &config::Router, link: usize, fence: Fence) -> Self {
        Self {
            machine: Machine::new(config.rules(fence)),
            link,
            place: None,
            addresses: config.addresses.clone().into(),
            counters: Arc::default(),
            sent_last: false,
            families: outlets(config),
            obstacle: Some(Obstacle::LinkMissing),
            told: None,
            config: config.clone(),
        }
    }

    /// Whether `config` is a later configuration of this router.
    pub fn is(&self, config: &config::Router) -> bool {
        self.config.vrid == config.vrid && self.config.link == config.link
    }

    /// Takes over a later configuration; returns addresses that it no longer has, if it holds them.
    pub fn reconfigure(&mut self, config: &config::Router, fence: Fence, now: Time) -> Option<Arc<[IpAddr]>> {
        let stale: Arc<[IpAddr]> =
            self.addresses.iter().copied().filter(|address| !config.addresses.contains(address)).collect();
        let changed =
            if self.config.addresses == config.addresses { AddressesChanged::No } else { AddressesChanged::Yes };
        self.config = config.clone();
        self.addresses = config.addresses.clone().into();
        self.families = outlets(config);
        self.machine.reconfigure(config.rules(fence), changed, now);
        (self.machine.state() == State::Active && !stale.is_empty()).then_some(stale)
    }

    /// Its link was seen.
    pub fn handle_link(&mut self, view: LinkView, now: Time) {
        let families: Vec<Family> = self.families.iter().map(|outlet| outlet.family).collect();
        self.obstacle = view.obstacle(&families);
        if let LinkView::Up { index, mac, sources } = view {
            self.place = Some(Place { index, mac });
            if self.obstacle.is_none() {
                self.machine.handle_link(sources, now);
            }
        }
        if let Some(obstacle) = self.obstacle {
            self.machine.handle_obstacle(obstacle);
        }
    }

    /// A datagram with its id arrived on its link.
    ///
    /// # Errors
    /// The check that it failed; nothing has changed then (R13).
    pub fn handle_datagram(&mut self, datagram: &Datagram<'_>, at: Time, now: Time) -> Result<Outcome, Discard> {
        let advert = packet::decode(datagram, self.config.version, self.config.ttl_min)?;
        if let Transport::Unicast { peers } = &self.config.transport
            && !peers.contains(&datagram.source)
        {
            return Err(Discard::Source);
        }
        let same_interval = advert.interval == self.config.advert_interval_cs;
        if self.config.version == Version::V2 && !same_interval {
            return Err(Discard::IntervalMismatch);
        }
        if self.machine.state() == State::Initialize {
            return Err(Discard::Initialize);
        }
        self.counters.received();
        let mut outcome = Outcome::default();
        let family = Family::of(datagram.source);
        if family == Family::V4 && advert.checksum == ChecksumForm::PseudoHeader {
            outcome.remarks[0] = Some(Remark::PseudoHeader);
        }
        let own = self.families.iter().find(|outlet| outlet.family == family);
        if !own.is_some_and(|own| own.addresses.iter().copied().eq(advert.addresses())) {
            outcome.remarks[1] = Some(Remark::Addresses);
        }
        let heard = Heard { source: datagram.source, priority: advert.priority, interval: advert.interval };
        // A Backup counts from the moment of arrival; an Active must not send on the strength of an old one.
        let moment = if self.machine.state() == State::Backup { at.min(now) } else { now };
        self.machine.handle_packet(heard, moment);
        Ok(outcome)
    }

    /// A deadline of the machine has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        if let Some(due) = self.machine.advert_due().filter(|due| *due <= now) {
            self.counters.lateness(now.since(due), self.config.advert_interval_cs.span());
        }
        self.machine.handle_timeout(now);
    }

    /// Whether `address` on the link with `index` is one that it holds.
    pub fn misses(&self, index: u32, address: IpAddr) -> bool {
        self.machine.state() == State::Active
            && self.place.is_some_and(|place| place.index == index)
            && self.addresses.contains(&address)
    }

    /// Sends one advertisement in every family to every destination.
    pub fn send(&mut self, links: &Links, sources: Sources, priority: u8) {
        self.sent_last = false;
        let mut buffer = [0; packet::LONGEST];
        for outlet in &self.families {
            let Some(source) = sources.of(outlet.family) else { continue };
            let Some(port) = links.port_of(self.link, outlet.family) else { continue };
            for destination in &outlet.destinations {
                let message = Outgoing {
                    version: self.config.version,
                    vrid: self.config.vrid,
                    priority,
                    interval: self.config.advert_interval_cs,
                    checksum: self.config.checksum,
                    addresses: &outlet.addresses,
                    source,
                    destination: *destination,
                };
                let result = port.send(message.encode(&mut buffer), source, *destination);
                self.sent_last |= result.is_ok();
                self.counters.sent(&result);
            }
        }
    }

    /// How it stands, if that was not told before.
    pub fn news(&mut self) -> Option<Standing> {
        let standing = Standing {
            state: self.machine.state(),
            priority: self.machine.priority(),
            active: self.machine.active(),
            obstacle: self.obstacle,
        };
        (self.told.replace(standing) != Some(standing)).then_some(standing)
    }
}

fn outlets(config: &config::Router) -> Vec<Outlet> {
    let outlet =
        |family| Outlet { family, addresses: config.addresses_of(family), destinations: config.destinations(family) };
    config.families().into_iter().map(outlet).collect()
}

#[cfg(test)]
mod tests;
