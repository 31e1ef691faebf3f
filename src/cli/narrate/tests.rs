//! What somebody reads who runs `quorate reconcile`, from the first line to the last. `UPDATE=1 cargo test --lib narrate`
//! rewrites the files in `tests/verbs/expected`.

#![allow(clippy::disallowed_methods)]

use super::*;
use crate::network::Carrier;
use crate::reconcile::apply::converge;
use crate::reconcile::sim::{self, Death, SimHost};
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

/// Everything that is told of one run over `host`.
async fn told(host: &mut SimHost, patience: Duration) -> String {
    let text = Rc::new(RefCell::new(Vec::new()));
    let mut narrator = Narrator::to(Log::Stderr, Some(Sink::Kept(text.clone())), patience);
    converge(host, &sim::desired(&[]), Instant::now() + patience, &mut |event| narrator.tell(&event)).await;
    let text = String::from_utf8(text.take()).unwrap();
    let time = regex_lite::Regex::new(r"\d{2}:\d{2}:\d{2} UTC").unwrap();
    time.replace_all(&text, "TIME UTC").into_owned()
}

#[tokio::test(start_paused = true)]
async fn each_run_reads_as_its_file() {
    let short = Duration::from_secs(5);
    let mut alone = SimHost { peers_agree: false, ..SimHost::new() };
    let mut unplugged = SimHost { link: Carrier::Absent, bundle: false, ..SimHost::new() };
    let mut failing = SimHost { death: Death::Before(2), ..SimHost::new() };
    let runs = [
        ("first-boot", told(&mut SimHost::new(), short).await),
        ("peer-missing", told(&mut alone, short).await),
        ("nothing-there", told(&mut unplugged, short).await),
        ("step-fails", told(&mut failing, short).await),
    ];
    for (name, text) in runs {
        let file = format!("tests/verbs/expected/reconcile-run-{name}.txt");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        assert_eq!(text, expected, "{}: if that is meant, run with UPDATE=1", file.display());
    }
}
