//! `make demo`: the whole way once, told while it happens.

#![expect(clippy::disallowed_methods, reason = "a demonstration drives real programs by the real clock")]

mod harness;

use harness::isolation::{self, Side};
use harness::network::VIP;
use harness::observer::{Observer, Stamp};
use harness::runner::World;
use harness::story::{Story, seconds};
use harness::{Lab, Programs, tree};
use std::process::ExitCode;
use std::time::Duration;

/// For everything that is awaited: far longer than it takes, so that only a fault reaches it.
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> anyhow::Result<ExitCode> {
    let programs = Programs::beside_this()?;
    match isolation::side()? {
        Side::Impossible { why } => anyhow::bail!("the demo cannot run here: {why}"),
        Side::Outside(outside) => {
            let story = Story::new();
            story.chapter("The operating system");
            story
                .step("the BareOS image as a tree: Debian 13 with systemd and etcd (built once, then kept)", || {
                    tree::ensure(&programs.lab_directory())
                })?;
            outside.run_inside()
        }
        Side::Inside(inside) => {
            let story = Story::new();
            let mut lab = Lab::furnish(inside, &programs)?;
            let outcome = tell(&story, &mut lab);
            if outcome.is_err() {
                eprintln!("{}", lab.evidence());
            }
            outcome.map(|()| ExitCode::SUCCESS)
        }
    }
}

fn tell(story: &Story, lab: &mut Lab) -> anyhow::Result<()> {
    story.chapter("Image build: one command puts quorate into the tree");
    story.shown("quorate install --root image --trust allowed_signers", &excerpt(&lab.installed, 5));

    story.chapter("The administrator's desk: one signed manifest for all masters");
    for (command, output) in lab.desk.prepare()? {
        story.shown(&command, &excerpt(&output, 6));
    }

    story.chapter("Three masters boot, each with the same image and an empty /var");
    story.step("three systemd containers on one bridge", || lab.boot_all())?;

    story.chapter("The drop: the same manifest everywhere, and each master's own node bundle");
    story.step("manifest.yaml, manifest.yaml.sig, node.pem into /run/quorate/drop", || lab.drop_everywhere())?;
    story.wait("one VIP, three healthy etcd voters, nothing left to plan", LIMIT, || lab.converged())?;
    let holder = lab.holder()?;
    story.shown(&format!("quorate status   # on {}", lab.masters[holder].name), &status(lab, holder)?);

    story.chapter("The active master loses power");
    let observer = Observer::start()?;
    let start = Stamp::now()?;
    story.wait("the VIP answers before anything happens to it", LIMIT, || {
        observer.answered_since(start).ok_or_else(|| anyhow::anyhow!("no answer from {VIP} yet"))
    })?;
    let killed = Stamp::now()?;
    lab.masters[holder].cut_power()?;
    story.say(&format!("{} is off: every process of it was killed in one moment", lab.masters[holder].name));
    let failover = story.wait("another master announces the VIP and answers", LIMIT, || {
        observer.failover_since(killed).ok_or_else(|| anyhow::anyhow!("{VIP} is silent"))
    })?;
    drop(observer);
    story.say(&format!(
        "measured on the link: first gratuitous ARP after {}, first ping answered after {}",
        seconds(failover.announced),
        seconds(failover.answered)
    ));
    let successor = lab.holder()?;
    story.shown(&format!("quorate status   # on {}", lab.masters[successor].name), &status(lab, successor)?);

    story.chapter("The master comes back, without anybody's help");
    story.step("power on", || lab.boot_all())?;
    story.wait("one VIP, three healthy etcd voters, nothing left to plan", LIMIT, || lab.converged())?;
    story.shown(&format!("quorate status   # on {}", lab.masters[holder].name), &status(lab, holder)?);
    for master in &lab.masters {
        story.shown(&format!("quorate plan   # on {}", master.name), &master.must("quorate", &["plan"])?);
    }
    story.end("Done; the lab vanishes with this process.");
    Ok(())
}

/// The status as `master` shows it, without waiting for the timer that renews it twice a minute. How status ends is its
/// verdict, so that it may well end with another code than 0.
fn status(lab: &Lab, master: usize) -> anyhow::Result<String> {
    lab.masters[master].must("quorate", &["reconcile", "--wait", "10s"])?;
    let output = lab.masters[master].ask("quorate", &["status"])?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first lines of an output, and how many more there were.
fn excerpt(text: &str, most: usize) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    if lines.len() <= most + 1 {
        return lines.join("\n");
    }
    format!("{}\n… {} more lines", lines[..most].join("\n"), lines.len() - most)
}
