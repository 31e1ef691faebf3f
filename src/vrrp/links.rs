//! The links that virtual routers run on, with their sockets and who on them has which id.

use super::config::Config;
use super::fact::LinkView;
use super::packet::Family;
use super::socket::Port;
use crate::ident::Vrid;
use std::collections::BTreeMap;
use std::io;

/// All links of the configuration, in the order of their first mention.
#[derive(Debug, Default)]
pub struct Links {
    links: Vec<Link>,
    routers: BTreeMap<(usize, Vrid), usize>,
    /// Every socket ever opened has a token of its own, so that an event of a closed one finds nobody.
    next_token: u64,
}

#[derive(Debug)]
struct Link {
    name: String,
    view: LinkView,
    families: Vec<Family>,
    ports: Vec<(u64, Port)>,
}

impl Links {
    /// The links of `config`; those that `old` had keep their sockets.
    pub fn of(config: &Config, old: Links) -> Self {
        let Links { links: mut old, next_token, .. } = old;
        let mut links: Vec<Link> = Vec::new();
        for router in &config.routers {
            let at = links.iter().position(|link| link.name == router.link).unwrap_or_else(|| {
                let known = old.iter().position(|link| link.name == router.link).map(|at| old.swap_remove(at));
                let (view, ports) = known.map_or((LinkView::Missing, Vec::new()), |link| (link.view, link.ports));
                links.push(Link { name: router.link.clone(), view, families: Vec::new(), ports });
                links.len() - 1
            });
            for family in router.families() {
                if !links[at].families.contains(&family) {
                    links[at].families.push(family);
                }
            }
        }
        Self { links, routers: BTreeMap::new(), next_token }
    }

    /// The place of the link of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        self.links.iter().position(|link| link.name == name)
    }

    /// How a link was seen last.
    pub fn view(&self, link: usize) -> LinkView {
        self.links.get(link).map_or(LinkView::Missing, |link| link.view)
    }

    /// Says which router has `vrid` on a link.
    pub fn assign(&mut self, link: usize, vrid: Vrid, router: usize) {
        self.routers.insert((link, vrid), router);
    }

    /// The router that has `vrid` on a link.
    pub fn router(&self, link: usize, vrid: Vrid) -> Option<usize> {
        self.routers.get(&(link, vrid)).copied()
    }

    /// The socket of a token, with its link.
    pub fn port(&self, token: u64) -> Option<(usize, &Port)> {
        self.links
            .iter()
            .enumerate()
            .find_map(|(at, link)| link.ports.iter().find(|(known, _)| *known == token).map(|(_, port)| (at, port)))
    }

    /// The socket of a link and family.
    pub fn port_of(&self, link: usize, family: Family) -> Option<&Port> {
        self.links.get(link)?.ports.iter().map(|(_, port)| port).find(|port| port.family() == family)
    }

    /// A link was seen anew: opens the sockets that it lacks, or all of them when it is another link of the same name, and
    /// hands each to `register` with its token. A link whose sockets cannot be had counts as missing.
    ///
    /// # Errors
    /// When a socket cannot be opened or registered.
    pub fn change(
        &mut self,
        link: usize,
        view: LinkView,
        register: impl Fn(u64, &Port) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(link) = self.links.get_mut(link) else { return Ok(()) };
        link.view = view;
        let LinkView::Up { index, .. } = view else {
            if view == LinkView::Missing {
                link.ports.clear();
            }
            return Ok(());
        };
        link.ports.retain(|(_, port)| port.index() == index);
        for family in link.families.clone() {
            if link.ports.iter().any(|(_, port)| port.family() == family) {
                continue;
            }
            let token = self.next_token;
            let opened = Port::open(&link.name, index, family).and_then(|port| register(token, &port).map(|()| port));
            match opened {
                Ok(port) => {
                    self.next_token += 1;
                    link.ports.push((token, port));
                }
                Err(error) => {
                    link.view = LinkView::Missing;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
