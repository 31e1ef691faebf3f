//! What the scribe knows of one virtual router.

use super::Standing;
use crate::ident::Vrid;
use crate::vrrp::config::Router;
use crate::vrrp::counters::Counters;
use crate::vrrp::machine::{Reason, State};
use crate::vrrp::state::{RECENT_KEPT, RouterState, Transition};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

/// Its story so far.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) vrid: Vrid,
    pub(super) link: String,
    addresses: Vec<IpAddr>,
    pub(super) standing: Standing,
    since: jiff::Timestamp,
    why: Option<Reason>,
    transitions: u64,
    recent: VecDeque<Transition>,
    counters: Arc<Counters>,
}

impl Record {
    /// Of a router that nothing was told of yet.
    pub(super) fn new(router: &Router, counters: Arc<Counters>, now: jiff::Timestamp) -> Self {
        Self {
            vrid: router.vrid,
            link: router.link.clone(),
            addresses: router.addresses.clone(),
            standing: Standing { state: State::Initialize, priority: router.priority, active: None, obstacle: None },
            since: now,
            why: None,
            transitions: 0,
            recent: VecDeque::new(),
            counters,
        }
    }

    /// The same story under a later configuration.
    pub(super) fn reconfigured(self, router: &Router, counters: Arc<Counters>) -> Self {
        Self { addresses: router.addresses.clone(), counters, ..self }
    }

    /// Whether it is of this router.
    pub(super) fn is_of(&self, router: &Router) -> bool {
        self.vrid == router.vrid && self.link == router.link
    }

    /// The router changed its state.
    pub(super) fn moved(&mut self, transition: Transition) {
        (self.since, self.why) = (transition.at, Some(transition.why));
        self.transitions += 1;
        self.recent.push_back(transition);
        if self.recent.len() > RECENT_KEPT {
            self.recent.pop_front();
        }
    }

    /// As it stands in the state document.
    pub(super) fn state(&self) -> RouterState {
        RouterState {
            vrid: self.vrid,
            link: self.link.clone(),
            state: self.standing.state,
            since: self.since,
            why: self.why,
            obstacle: self.standing.obstacle,
            priority: self.standing.priority,
            active: self.standing.active,
            transitions: self.transitions,
            recent: self.recent.iter().cloned().collect(),
            addresses: self.addresses.clone(),
            counters: self.counters.read(),
        }
    }
}
