//! A link with several speakers and a client that asks for the address all the time, and what can be said about it.

use crate::wire::{Advert, Frame, Heard, Host, Kind, Lab, Moment, Observer, Prober, Router, Speaker};
use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::Duration;

/// How long anything may take before a test gives up, beyond what the protocol itself takes: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_secs(10);

/// A lab that is watched and probed.
#[derive(Debug)]
pub struct Scene {
    pub lab: Lab,
    pub observer: Observer,
    _prober: Prober,
    /// As the first host runs it.
    pub router: Router,
}

impl Scene {
    pub fn new(hosts: u8, router: Router) -> Self {
        let lab = Lab::new(hosts);
        let (observer, prober) = (Observer::start(&lab), Prober::start(&lab, router.vip()));
        Self { lab, observer, _prober: prober, router }
    }

    pub fn host(&self, host: usize) -> &Host {
        &self.lab.hosts[host]
    }

    /// Starts a speaker. Its peers, where it has any, are all other hosts.
    pub fn start(&self, kind: Kind, host: usize, priority: u8) -> Speaker {
        let mut router = self.router.with_priority(priority);
        if !router.peers.is_empty() {
            let others = self.lab.hosts.iter().filter(|other| other.index != host);
            router.peers = others.map(|other| other.address_like(router.vip())).collect();
        }
        Speaker::start(kind, self.host(host), &[router])
    }

    /// Requires that `host` becomes Active and answers for the address.
    pub fn becomes_active(&self, host: usize, since: Moment, speakers: &[&Speaker]) {
        let limit = self.router.down() + PATIENCE;
        let active = self.observer.wait_active(host, since, limit);
        assert!(active.is_some(), "host {host} does not become Active{}", logs(speakers));
        let by_it = |frame: &Frame| frame.host == host && self.answers(frame);
        assert!(self.observer.wait(since, limit, by_it).is_some(), "host {host} does not answer{}", logs(speakers));
    }

    /// Requires that from now on, for some intervals, only `host` advertises and answers. One moment to settle comes first: two that
    /// met as Active part within an advertisement.
    pub fn stays_the_only_active(&self, host: usize, speakers: &[&Speaker]) -> Vec<Advert> {
        sleep(self.router.interval() * 2);
        let since = Moment::now();
        sleep(self.router.interval() * 5);
        let frames: Vec<Frame> = self.observer.frames().into_iter().filter(|frame| frame.at >= since).collect();
        let by = |wanted: &dyn Fn(&Frame) -> bool| -> BTreeSet<usize> {
            frames.iter().filter(|frame| wanted(frame)).map(|frame| frame.host).collect()
        };
        let adverts = by(&|frame| matches!(frame.heard, Heard::Advert(_)));
        assert_eq!(adverts, BTreeSet::from([host]), "who advertises{}", logs(speakers));
        assert_eq!(by(&|frame| self.answers(frame)), BTreeSet::from([host]), "who answers{}", logs(speakers));
        frames
            .iter()
            .filter_map(|frame| if let Heard::Advert(advert) = frame.heard { Some(advert) } else { None })
            .collect()
    }

    /// Whether `frame` is an answer for the virtual address.
    pub fn answers(&self, frame: &Frame) -> bool {
        matches!(frame.heard, Heard::Answer { address, .. } if address == self.router.vip())
    }
}

fn logs(speakers: &[&Speaker]) -> String {
    speakers
        .iter()
        .map(|speaker| format!("\n--- {} on host {}\n{}", speaker.kind, speaker.host, speaker.log()))
        .collect()
}
