//! The page of `quorate status --html`, loaded by a real browser.

#![allow(clippy::disallowed_methods, reason = "chromium is the peer that these tests ask")]

use super::cases::{all, named, now};
use quorate::status::page;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A first start on a loaded machine takes seconds; a browser that hangs must not hang the tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where pages and screenshots are left for somebody to look at.
fn gallery() -> PathBuf {
    let gallery = Path::new(env!("CARGO_TARGET_TMPDIR")).join("status-pages");
    fs::create_dir_all(&gallery).unwrap();
    gallery
}

/// What chromium prints, or nothing after saying that the test is skipped.
fn chromium(test: &str, extra: &[&str], page: &Path) -> Option<String> {
    let profile = tempfile::tempdir().unwrap();
    let said = profile.path().join("stdout");
    let spawned = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        // Without these the browser calls home at every start.
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--window-size=1100,1400", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.path().join("profile").display()))
        .args(extra)
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .stdout(fs::File::create(&said).unwrap())
        .stderr(Stdio::null())
        .spawn();
    let Ok(mut browser) = spawned else {
        println!("SKIPPED {test}: chromium is not installed (Debian package chromium)");
        return None;
    };
    let deadline = Instant::now() + PATIENCE;
    while browser.try_wait().unwrap().is_none() {
        if Instant::now() > deadline {
            browser.kill().unwrap();
            browser.wait().unwrap();
            panic!("chromium did not end within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Some(fs::read_to_string(said).unwrap())
}

/// Looks at the page from inside: what a static check cannot see.
const INSPECTOR: &str = include_str!("inspector.html");

#[test]
fn a_browser_lays_out_every_case_without_anything_cut_off() {
    for case in all() {
        let html = page::render(&case.status, now());
        // The page forbids scripts; the inspector comes in where a reader never is.
        let policy = html.find("<meta http-equiv").unwrap();
        let end = policy + html[policy..].find('\n').unwrap();
        let html = format!("{}{}", &html[..policy], &html[end..]).replace("</body>", INSPECTOR);
        let file = gallery().join(format!("{}.inspected.html", case.name));
        fs::write(&file, html).unwrap();
        let Some(dom) = chromium("the page's layout in chromium", &["--dump-dom"], &file) else { return };
        let start = dom.find("data-seen=\"").expect("the inspector ran") + "data-seen=\"".len();
        let seen = dom[start..start + dom[start..].find('"').unwrap()].replace("&quot;", "\"").replace("&amp;", "&");
        let seen: Value = serde_json::from_str(&seen).unwrap();
        let account = quorate::status::findings::Account::new(&case.status, now());
        let name = &case.name;
        assert_eq!(seen["outside"], serde_json::json!([]), "{name}: something is drawn outside its frame");
        assert_eq!(seen["wide"], false, "{name} is wider than the window");
        assert_eq!(seen["masters"], case.status.masters.len(), "{name}: a box for each master");
        assert_eq!(seen["rows"], case.status.masters.len(), "{name}: a row for each master");
        assert_eq!(seen["findings"], account.findings.len(), "{name}: every finding is told");
        assert_eq!(seen["verdict"], account.verdict.to_string(), "{name}");
        assert_eq!(seen["account"], serde_json::json!(account.verdict), "{name}: the account reads back");
        assert_ne!(seen["colour"], "rgb(27, 31, 36)", "{name}: the verdict has a colour of its own");
    }
}

#[test]
fn a_page_runs_nothing_and_loads_nothing_whatever_the_document_says() {
    let mut status = named("refused-drop").status;
    let planted = "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">";
    status.refused_drops[0].why = planted.into();
    status.refused_drops[0].origin = planted.into();
    let html = page::render(&status, now());
    assert_eq!(html.matches("<script").count(), 1, "only the account");
    assert!(!html.contains("<img"));
    let file = gallery().join("planted.html");
    fs::write(&file, html).unwrap();
    let Some(dom) = chromium("what a page can be made to run", &["--dump-dom"], &file) else { return };
    assert!(dom.contains("<title>prod-east refused — quorate status</title>"), "{dom}");
}

#[test]
fn a_page_can_be_photographed() {
    for name in ["converged", "active-master-dead"] {
        let file = gallery().join(format!("{name}.html"));
        fs::write(&file, page::render(&named(name).status, now())).unwrap();
        let picture = gallery().join(format!("{name}.png"));
        let option = format!("--screenshot={}", picture.display());
        if chromium("a screenshot of the page", &[&option], &file).is_none() {
            return;
        }
        assert!(fs::metadata(&picture).unwrap().len() > 20_000, "{name}: the picture shows something");
    }
}
