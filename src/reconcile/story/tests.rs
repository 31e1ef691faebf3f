//! Every form of a plan, case by case: `tests/plan/CASE.txt` and `CASE.json`. `UPDATE=1 cargo test --lib story` rewrites
//! them; the difference is then read in review.

#![allow(clippy::disallowed_methods)]

use super::super::apply::converge;
use super::super::host::Host;
use super::super::sim::{self, SimHost};
use super::*;
use crate::network::Carrier;
use crate::reconcile::{Desired, plan, run, trial};
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

const NEXT: (&str, &str) = ("generation: 1", "generation: 2");

/// The story of `host` under a manifest.
async fn told(host: &mut SimHost, desired: &Desired, standing: Standing) -> Story {
    let observed = host.observe(desired).await;
    let mut plan = plan::plan(desired, &observed);
    let standing = match standing {
        Standing::Trial { from, .. } => {
            let (tried, left_out) = trial::share(plan);
            plan = tried;
            Standing::Trial { from, left_out }
        }
        other => other,
    };
    let manifest = Some(Source::new(desired.manifest(), "/run/quorate/drop/manifest.yaml"));
    Story { host: Some(desired.me().name.clone()), manifest, standing, refused: Vec::new(), plan }
}

async fn converged() -> SimHost {
    let mut host = SimHost::new();
    converge(&mut host, &sim::desired(&[]), Instant::now() + Duration::from_secs(1), &mut |_| {}).await;
    host
}

async fn cases() -> Vec<(&'static str, &'static str, Story)> {
    let (now, next) = (sim::desired(&[]), Standing::Acceptable { from: Some(Generation(1)) });
    let first = told(&mut SimHost::new(), &now, Standing::Acceptable { from: None }).await;
    let done = told(&mut converged().await, &now, Standing::InForce).await;

    // A link that does not exist, and a bundle that was never dropped.
    let misfit = sim::desired(&[NEXT, ("interface: eth0", "interface: eth7")]);
    let mut bare = SimHost::new();
    bare.bundle = false;
    let blocked = told(&mut bare, &misfit, next.clone()).await;
    let mut unplugged = converged().await;
    unplugged.link = Carrier::Absent;
    let waiting = told(&mut unplugged, &now, Standing::InForce).await;

    // m3 is replaced by m4: this master removes the one that no manifest names.
    let m4 = (
        "{ name: m3, address: 10.20.0.13, identity: { hostname: m3 } }",
        "{ name: m4, address: 10.20.0.14, identity: { hostname: m4 } }",
    );
    let mut replacing = converged().await;
    replacing.listed = vec![sim::listed(1), sim::listed(2), sim::listed(3)];
    let replace = told(&mut replacing, &sim::desired(&[NEXT, m4]), next).await;

    let faster = sim::desired(&[NEXT, ("advertiseInterval: 100ms", "advertiseInterval: 1s"), m4]);
    let tried = told(&mut replacing, &faster, Standing::Trial { from: Generation(1), left_out: Vec::new() }).await;

    let mut refused = told(&mut converged().await, &now, Standing::InForce).await;
    let origin = "/etc/quorate/drop/manifest.yaml".into();
    let why = "the manifest is for another cluster\nand says so on two lines".into();
    refused.refused.push(Refusal { origin, class: Class::Unsafe, why });

    let plan = Plan { steps: Vec::new(), blocked: vec![run::no_manifest(now.paths(), &[])] };
    let nothing = Story { host: None, manifest: None, standing: Standing::InForce, refused: Vec::new(), plan };
    vec![
        ("first-boot", "changes pending", first),
        ("converged", "fine", done),
        ("blocked", "refused", blocked),
        ("waiting", "waiting", waiting),
        ("replace", "changes pending", replace),
        ("try", "changes pending", tried),
        ("refused-drop", "refused", refused),
        ("no-manifest", "waiting", nothing),
    ]
}

#[tokio::test(start_paused = true)]
async fn each_case_reads_as_its_files() {
    for (name, verdict, story) in cases().await {
        let json = format!("{:#}\n", in_json(&story, verdict));
        for (form, text) in [("txt", render(&story, Paint::Plain)), ("json", json)] {
            let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/plan/{name}.{form}"));
            if std::env::var_os("UPDATE").is_some() {
                std::fs::write(&file, &text).unwrap();
            }
            let expected = std::fs::read_to_string(&file).unwrap_or_default();
            assert_eq!(text, expected, "{}: if that is meant, run with UPDATE=1", file.display());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn colours_change_no_word() {
    for (name, _, story) in cases().await {
        let mut coloured = render(&story, Paint::Colour);
        assert!(coloured.contains('\x1b'), "{name}");
        while let Some(start) = coloured.find('\x1b') {
            let end = start + coloured[start..].find('m').unwrap();
            coloured.replace_range(start..=end, "");
        }
        assert_eq!(coloured, render(&story, Paint::Plain), "{name}");
    }
}
