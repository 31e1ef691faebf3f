//! The face of the VRRP daemon: what it says of a configuration, and how it ends.

#![allow(clippy::unwrap_used)]
#![allow(clippy::disallowed_methods, reason = "it runs the daemon")]

use std::process::Command;

/// Exit code, standard output and standard error of the daemon with these arguments.
fn vrrpd(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_quorate-vrrpd")).args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// What `--check` says of this text.
fn check(text: &str) -> (Option<i32>, String, String) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("vrrpd.json");
    std::fs::write(&file, text).unwrap();
    let (code, out, err) = vrrpd(&["--check", file.to_str().unwrap()]);
    (code, out, err.replace(file.to_str().unwrap(), "FILE"))
}

const GOOD: &str = r#"{ "routers": [{ "vrid": 51, "link": "eth0", "priority": 254, "unhealthyPriority": 238, "healthyFrom": 252,
    "advertIntervalCs": 10, "preempt": "never", "transport": "multicast", "addresses": ["10.9.0.100"] }] }"#;

#[test]
fn check_explains_what_a_configuration_means_in_time() {
    let (code, out, err) = check(GOOD);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for part in ["10.9.0.100", "300.78125ms after one falls silent", "275ms after its last advertisement", "is valid"] {
        assert!(out.contains(part), "{part}: {out}");
    }
}

#[test]
fn check_lists_every_problem_on_a_line_of_its_own() {
    let bad = GOOD.replace("254", "0").replace("10.9.0.100", "224.0.0.18");
    let (code, out, err) = check(&bad);
    assert_eq!((code, out.as_str()), (Some(6), ""));
    let lines: Vec<&str> = err.lines().collect();
    let router = "  virtual router 51 on 'eth0':";
    assert_eq!(
        lines,
        [
            "'FILE' cannot be run:".to_owned(),
            format!("{router} priority 0 means resignation; write 1 to 255"),
            format!("{router} unhealthyPriority 238 is above priority 0"),
            format!("{router} 224.0.0.18 cannot be a virtual address"),
        ]
    );
}

#[test]
fn check_names_the_place_of_what_it_cannot_read() {
    for (text, said) in [
        ("", "line 1 column 0"),
        ("{", "line 1 column 1"),
        (r#"{ "routers": [], "colour": 1 }"#, "unknown field `colour`"),
        (&GOOD.replace("51", "256"), "expected u8"),
        (&GOOD.replace("\"advertIntervalCs\": 10", "\"advertIntervalCs\": 0"), "1 to 4095"),
    ] {
        let (code, out, err) = check(text);
        assert_eq!((code, out.as_str()), (Some(6), ""), "{text}");
        assert!(err.starts_with("cannot run 'FILE': ") && err.contains(said), "{text}: {err}");
    }
    let (code, _, err) = vrrpd(&["--check", "/nonexistent/vrrpd.json"]);
    assert_eq!(code, Some(6));
    assert!(err.contains("'/nonexistent/vrrpd.json': No such file"), "{err}");
}

#[test]
fn one_thing_is_asked_of_it_at_a_time() {
    for arguments in [&[][..], &["--config", "x"], &["--check", "x", "--fence", "x"], &["--state", "x"]] {
        assert_eq!(vrrpd(arguments).0, Some(2), "{arguments:?}");
    }
}
