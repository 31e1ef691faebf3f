//! A configuration is taken over between two advertisements: routers that stay keep state and timers.

use super::Loop;
use crate::ident::Digest;
use crate::vrrp::config::{Config, Fence};
use crate::vrrp::lease::Claim;
use crate::vrrp::links::Links;
use crate::vrrp::router::Router;
use crate::vrrp::scribe::Note;
use crate::vrrp::time::Time;

impl Loop {
    /// Runs `config` from now on. Routers that stay keep their state and timers (B4); those that go resign; new ones start.
    pub(in crate::vrrp::driver) fn take_over(&mut self, config: Config, digest: Digest, now: Time) {
        let (verdict, probing) = self.prober.follow(&config.probes);
        self.health = verdict;
        let unfenced = config.routers.iter().find(|router| !self.fenced_links.contains(&router.link));
        if let (Some(router), Fence::Lease) = (unfenced, self.fence) {
            let problem = format!("the table has no rules for '{}'; restart the unit to load them", router.link);
            self.fenced(Fence::LifetimeOnly, Some(problem), now);
        }
        if let Err(error) = probing {
            self.notes.tell(Note::Warning(format!("a probe cannot be started: {error}")));
        }
        let mut old = std::mem::take(&mut self.routers);
        let old_links = std::mem::take(&mut self.links);
        self.links = Links::of(&config, old_links);
        for wanted in &config.routers {
            let Some(link) = self.links.find(&wanted.link) else { continue };
            let at = self.routers.len();
            self.links.assign(link, wanted.vrid, at);
            match old.iter().position(|router| router.is(wanted)) {
                Some(same) => {
                    let mut router = old.swap_remove(same);
                    router.link = link;
                    self.claim(Claim::Fence(wanted.addresses.clone().into()));
                    let stale = router.reconfigure(wanted, self.fence, now);
                    router.machine.handle_health(verdict);
                    self.routers.push(router);
                    if let Some(addresses) = stale {
                        self.let_go(at, addresses);
                    }
                }
                None => {
                    self.claim(Claim::Fence(wanted.addresses.clone().into()));
                    let mut router = Router::new(wanted, link, self.fence);
                    router.machine.handle_health(verdict);
                    router.handle_link(self.links.view(link), now);
                    self.routers.push(router);
                }
            }
        }
        let counters = self.routers.iter().map(|router| &router.counters).chain([&self.unassigned]).cloned().collect();
        self.watch.follow(config.routers.iter().map(|router| router.link.clone()).collect());
        self.notes.tell(Note::Running { config, digest, counters });
        for at in 0..self.routers.len() {
            self.perform(at);
        }
        // The addresses of those that go are on the same keeper's way, behind everything above.
        let stay = self.routers.len();
        for mut router in old {
            router.machine.stop();
            self.routers.push(router);
            self.perform(stay);
            self.routers.truncate(stay);
        }
    }
}
