use super::*;

fn router() -> serde_json::Value {
    serde_json::json!({
        "vrid": 51, "link": "eth0", "priority": 254, "unhealthyPriority": 238, "healthyFrom": 252,
        "advertIntervalCs": 10, "preempt": "never", "transport": "multicast", "addresses": ["10.9.0.100"]
    })
}

/// The problems of a document with one router changed in these fields.
fn problems(changes: serde_json::Value) -> String {
    let mut router = router();
    router.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    match Config::parse(serde_json::json!({ "routers": [router] }).to_string().as_bytes()) {
        Ok(_) => String::new(),
        Err(error) => {
            format!("{error} {}", std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default())
        }
    }
}

#[test]
fn each_problem_is_named() {
    use serde_json::json;
    let table = [
        (json!({}), ""),
        (json!({ "vrid": 0 }), "1 to 255"),
        (json!({ "advertIntervalCs": 0 }), "1 to 4095"),
        (json!({ "advertIntervalCs": 4096 }), "1 to 4095"),
        (json!({ "priority": 0 }), "priority 0 means resignation"),
        (json!({ "unhealthyPriority": 0 }), "unhealthyPriority 0"),
        (json!({ "unhealthyPriority": 255 }), "is above priority 254"),
        (json!({ "addresses": [] }), "no address"),
        (json!({ "addresses": ["10.9.0.100", "10.9.0.100"] }), "twice"),
        (json!({ "addresses": ["224.0.0.18"] }), "cannot be a virtual address"),
        (json!({ "addresses": ["2001:db8::1"] }), "first IPv6 address must be link-local"),
        (json!({ "addresses": ["fe80::70:33"], "version": "v2" }), "VRRPv2 has no IPv6"),
        (json!({ "version": "v2" }), "whole seconds"),
        (json!({ "link": "a name/with more than it may have" }), "not the kernel name"),
        (json!({ "transport": { "unicast": { "peers": ["fe80::2"] } } }), "no peer has the family"),
        (json!({ "ttlMin": 1 }), "ttlMin below 255"),
        (json!({ "colour": "green" }), "unknown field"),
    ];
    for (changes, expected) in table {
        let found = problems(changes.clone());
        assert!(if expected.is_empty() { found.is_empty() } else { found.contains(expected) }, "{changes}: {found}");
    }
}

#[test]
fn every_problem_is_reported_at_once() {
    let found = problems(serde_json::json!({ "priority": 0, "addresses": [], "unhealthyPriority": 0 }));
    assert!(found.contains("priority 0 means") && found.contains("no address"), "{found}");
}

#[test]
fn one_id_cannot_be_on_a_link_twice() {
    let twice = serde_json::json!({ "routers": [router(), router()] }).to_string();
    assert!(Config::parse(twice.as_bytes()).unwrap_err().to_string().contains("is there twice"));
}

#[test]
fn one_address_cannot_be_of_two_routers() {
    let mut other = router();
    other["vrid"] = 52.into();
    let both = serde_json::json!({ "routers": [router(), other] }).to_string();
    let error = Config::parse(both.as_bytes()).unwrap_err().to_string();
    assert_eq!(error, "10.9.0.100 is an address of virtual router 51 and of 52");
}

#[test]
fn a_probe_that_could_never_pass_is_refused() {
    let probe = |target: serde_json::Value| {
        let probe = serde_json::json!({ "target": target, "intervalMs": 1000, "fall": 3, "rise": 2 });
        Config::parse(serde_json::json!({ "routers": [], "probes": [probe] }).to_string().as_bytes())
    };
    assert!(probe(serde_json::json!({ "https": "https://127.0.0.1:6443/livez" })).is_ok());
    let table = [
        (serde_json::json!({ "https": "https://10.9.0.12:6443/livez" }), "loopback"),
        (serde_json::json!({ "http": "http://kubernetes/healthz" }), "no URL with an address"),
        (serde_json::json!({ "tcp": "kubernetes:6443" }), "no address with a port"),
    ];
    for (target, expected) in table {
        let error = probe(target.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{target}: {error}");
    }
}

#[test]
fn a_lifetime_that_is_the_only_fence_ends_before_a_successor_starts_where_seconds_allow() {
    for (centiseconds, expected) in [(1, 2), (10, 2), (100, 2), (200, 5), (4000, 119)] {
        let mut router: Router = serde_json::from_value(router()).unwrap();
        router.advert_interval_cs = Interval::try_from(centiseconds).unwrap();
        assert_eq!(router.lifetime(Fence::LifetimeOnly), Duration::from_secs(expected), "{centiseconds}");
        // Adverts renew it, so it must outlast the gap between two renewals in any case.
        for fence in [Fence::Lease, Fence::LifetimeOnly] {
            let lifetime = router.lifetime(fence);
            assert!(lifetime / 3 + router.advert_interval_cs.span() < lifetime, "{centiseconds} {fence:?}");
        }
    }
}

#[test]
fn a_router_whose_peers_have_one_family_advertises_in_that_one() {
    let mut router: Router = serde_json::from_value(router()).unwrap();
    router.addresses = vec!["10.9.0.100".parse().unwrap(), "fe80::70:33".parse().unwrap()];
    assert_eq!(router.families(), [Family::V4, Family::V6]);
    router.transport = Transport::Unicast { peers: vec!["10.9.0.12".parse().unwrap()] };
    assert_eq!(router.families(), [Family::V4]);
}

#[test]
fn check_explains_the_times() {
    let config = Config { routers: vec![serde_json::from_value(router()).unwrap()], probes: Vec::new() };
    let text = config.to_string();
    for part in ["10.9.0.100", "781.25µs after an Active resigns", "300.78125ms", "275ms"] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
