//! Three masters move from keepalived to quorate one by one, as a rollout does it, while a client asks for the address all the time.

use crate::both_ways::router;
use crate::scene::Scene;
use crate::wire::{Kind, Moment, Speaker, Version, world};
use std::time::Duration;

/// What a busy machine may add: to one takeover, an answer that is not asked for or given in time.
const SLACK: Duration = Duration::from_millis(250);

/// What is promised to clients: whoever is replaced, and whoever takes over, the address is never without an answer for longer
/// than the protocol needs to notice a silent Active.
#[test]
fn the_address_is_never_down_longer_than_one_master_down_interval() {
    let name = "migration::the_address_is_never_down_longer_than_one_master_down_interval";
    world::test(name, &["keepalived"], || {
        let scene = Scene::new(3, router(Version::V3, &["10.77.1.0"]));
        let priorities = [254, 253, 252];
        let begin = Moment::now();
        let mut speakers: Vec<Speaker> = Vec::new();
        for (host, priority) in priorities.into_iter().enumerate() {
            speakers.push(scene.start(Kind::Keepalived, host, priority));
            if host == 0 {
                scene.becomes_active(0, begin, &[&speakers[0]]);
            }
        }
        scene.stays_the_only_active(0, &speakers.iter().collect::<Vec<_>>());

        let migration = Moment::now();
        // The Active first, which is the worst order: each step moves the address, the first two to a keepalived.
        for (host, priority) in priorities.into_iter().enumerate() {
            speakers[host].stop_and_wait();
            speakers[host] = scene.start(Kind::Quorate, host, priority);
            std::thread::sleep(scene.router.down() * 2);
        }
        let all: Vec<&Speaker> = speakers.iter().collect();
        let holder = scene.observer.frames().last().map(|frame| frame.host).unwrap();
        scene.stays_the_only_active(holder, &all);

        let answers: Vec<Moment> = scene
            .observer
            .frames()
            .iter()
            .filter(|frame| frame.at >= migration && scene.answers(frame))
            .map(|frame| frame.at)
            .collect();
        let longest = answers.windows(2).map(|pair| pair[1].ms_since(pair[0])).fold(0.0, f64::max);
        let limit = scene.router.with_priority(252).down() + SLACK;
        assert!(
            longest <= limit.as_secs_f64() * 1e3,
            "no answer for {longest:.0} ms; one master-down interval and slack is {limit:?}"
        );
    });
}
