//! A broken cluster, and somebody who was just woken up: `quorate status` alone names the cause and the next action.
//!
//! Nothing but the status is asked, and nobody helps it: what it shows is what the timer's runs wrote.

use crate::harness::Lab;
use crate::harness::desk::Signer;
use crate::harness::master::{DropPlace, Master};
use crate::harness::{must, wait};
use anyhow::{Context as _, ensure};
use quorate::message::Message;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

/// For the timer to come, twice on a busy machine.
const SHOWN_WITHIN: Duration = Duration::from_secs(120);
/// How much longer a certificate is valid that shall expire before somebody's eyes.
const LAST_MINUTE: Duration = Duration::from_secs(25);

/// What the status has to say: in its first line, as the cause, and as the next action.
struct Says<'a> {
    first: &'a str,
    why: &'a str,
    action: &'a str,
}

impl Says<'_> {
    /// Reads nothing but the screen.
    fn shown_on(&self, master: &Master) -> anyhow::Result<()> {
        wait::until(
            "the status to name the cause",
            SHOWN_WITHIN,
            |_, _| {},
            || {
                let screen = String::from_utf8(master.ask("quorate", &["status"])?.stdout)?;
                let first = screen.lines().next().unwrap_or_default();
                ensure!(first.contains(self.first), "the first line is '{first}'");
                let labelled = |label: &str, words: &str| {
                    screen.lines().any(|line| {
                        line.strip_prefix("  ")
                            .is_some_and(|line| line.strip_prefix(label).is_some_and(|line| line.contains(words)))
                    })
                };
                ensure!(labelled("why  ", self.why), "'{}' is no cause on\n{screen}", self.why);
                ensure!(labelled("do   ", self.action), "'{}' is no action on\n{screen}", self.action);
                Ok(())
            },
        )?;
        Ok(())
    }
}

pub fn status_names_a_dead_master(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let dead = (lab.holder()? + 1) % lab.masters.len();
    // Somebody watches on another one meanwhile.
    let watcher = lab.holder()?;
    let log = "/run/watch.log";
    let watch = format!("echo $$ >/run/watch.pid; exec script -qfc 'quorate status --watch' {log}");
    let watching =
        lab.masters[watcher].command("sh", &["-c", &watch])?.stdin(Stdio::piped()).stdout(Stdio::null()).spawn();
    let mut watching = watching?;
    lab.masters[dead].cut_power()?;
    let name = lab.masters[dead].name.clone();
    for master in lab.masters.iter().filter(|master| master.is_on()) {
        let address = lab.masters[dead].address;
        let (first, why) = (format!("degraded: {name} does not answer"), format!("was asked at {address}"));
        Says { first: &first, why: &why, action: &format!("look after {name} (power, network") }.shown_on(master)?;
    }
    wait::until(
        "the watch to show it",
        SHOWN_WITHIN,
        |_, _| {},
        || {
            let seen = lab.masters[watcher].must("cat", &[log])?;
            ensure!(seen.contains(&format!("{name}: healthy → unhealthy")), "it does not:\n{seen}");
            Ok(())
        },
    )?;
    ensure!(watching.try_wait()?.is_none(), "the watch ended with the master");
    lab.masters[watcher].must("sh", &["-c", "kill $(cat /run/watch.pid)"])?;
    watching.wait()?;
    lab.boot_all()?;
    lab.await_converged()
}

pub fn status_names_a_full_disk(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let victim = (lab.holder()? + 1) % lab.masters.len();
    let place = lab.masters[victim].var().join("lib/etcd");
    lab.masters[victim].cut_power()?;
    // A disk of its own below etcd's data, with the data that was there: 300 MB, for etcd's logs are 64 MB each.
    let (disk, aside) = (place.with_extension("ext4"), place.with_extension("aside"));
    fs::File::create(&disk)?.set_len(300 << 20)?;
    must(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&disk))?;
    fs::rename(&place, &aside)?;
    fs::create_dir(&place)?;
    must(Command::new("mount").args(["-o", "loop"]).arg(&disk).arg(&place))?;
    must(Command::new("cp").args(["-a", "-T"]).arg(&aside).arg(&place))?;
    // Moved on purpose: without this its master holds the partition for missing (fault 26).
    fs::remove_file(lab.masters[victim].var().join("lib/quorate/etcd/storage.json"))?;
    lab.boot_all()?;
    lab.await_converged()?;

    let master = &lab.masters[victim];
    let filled = master.ask("sh", &["-c", "cat /dev/zero >/var/lib/etcd/filler"])?;
    ensure!(!filled.status.success(), "the disk did not fill");
    master.must("systemctl", &["kill", "--signal=KILL", "quorate-etcd.service"])?;
    Says {
        first: "failed: the file system of '/var/lib/etcd' is full",
        why: "0 of ",
        action: "free space there: 'du -xhd2 /var/lib/etcd'",
    }
    .shown_on(master)?;
    // What it says is what helps.
    master.must("rm", &["/var/lib/etcd/filler"])?;
    lab.await_converged()?;

    lab.masters[victim].cut_power()?;
    must(Command::new("cp").args(["-a", "-T"]).arg(&place).arg(&aside))?;
    must(Command::new("umount").arg(&place))?;
    fs::remove_dir(&place)?;
    fs::rename(&aside, &place)?;
    fs::remove_file(&disk)?;
    lab.boot_all()?;
    lab.await_converged()
}

pub fn status_names_an_expired_certificate(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let victim = (lab.holder()? + 1) % lab.masters.len();
    let master = &lab.masters[victim];
    let bundle = lab.desk.bundle_valid_for(master, LAST_MINUTE)?;
    master.put_drop(DropPlace::Run, &[("node.pem", &bundle)])?;
    Says {
        first: "down: this master's certificate has expired",
        why: "valid until ",
        action: "'quorate pki issue' where the cluster CA is kept, then drop the new node.pem here",
    }
    .shown_on(master)?;
    let bundle = lab.desk.bundle_valid_for(master, Duration::from_secs(86_400))?;
    master.put_drop(DropPlace::Run, &[("node.pem", &bundle)])?;
    lab.await_converged()
}

pub fn status_names_a_wrong_interface_and_a_refused_manifest(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let master = &lab.masters[lab.holder()?];
    let generation = master.status()?.manifest.context("no manifest in force")?.generation.0;
    let files = lab.desk.drop_for(master)?;
    let (_, manifest) = files.iter().find(|(name, _)| *name == "manifest.yaml").context("no manifest on the desk")?;
    let manifest = String::from_utf8(manifest.clone())?;
    let put = |generation: u64, old: &str, new: &str| -> anyhow::Result<()> {
        ensure!(manifest.contains(old), "the starter has no '{old}' any more");
        let number = format!("generation: {generation} ");
        let manifest = manifest.replace(old, new).replace("generation: 1 ", &number);
        let signature = lab.desk.sign_unasked(manifest.as_bytes(), Signer::Admin)?;
        master.put_drop(DropPlace::Etc, &[("manifest.yaml.sig", &signature), ("manifest.yaml", manifest.as_bytes())])
    };
    let fourth = "    - { name: m4, address: 10.20.0.14, identity: { hostname: m4 } }\n  vrrp:";
    put(generation + 1, "  vrrp:", fourth)?;
    Says {
        first: &format!(
            "refused: the manifest dropped in /etc/quorate/drop/manifest.yaml is refused; generation {generation} stays"
        ),
        why: "4 masters",
        action: "correct it ('quorate check FILE'), sign it again and replace the drop",
    }
    .shown_on(master)?;
    put(generation + 1, "interface: eth0", "interface: eth7")?;
    Says {
        first: "refused: carry the VIP on 'eth7'",
        why: "no link here answers to 'eth7'; there are: ",
        action: "name a link of this host in spec.vip.interface",
    }
    .shown_on(master)?;
    put(generation + 2, "interface: eth0", "interface: eth0")?;
    lab.await_converged()
}

/// Stands in every planted secret.
const CANARY: &str = "hunter2-canary";

/// With the commands of the runbook, and nothing that the image does not have.
pub fn the_journal_says_what_was_done_and_why(lab: &mut Lab) -> anyhow::Result<()> {
    // A journal that begins here: a run that another scenario killed does not tell what it did last.
    lab.wipe_all()?;
    lab.converge()?;
    let told = |arguments: &[&str]| anyhow::Ok(String::from_utf8(lab.masters[0].ask("journalctl", arguments)?.stdout)?);
    let done = format!("MESSAGE_ID={}", Message::Done.id());
    let done = told(&["--no-pager", "-u", "quorate-*", &done])?;
    ensure!(done.contains("start quorate-etcd.service"), "what was done is not told by its id:\n{done}");
    let fields = "--output-fields=QUORATE_STEP,QUORATE_REASON";
    let reasons = told(&["--no-pager", "-u", "quorate-*", "-o", "verbose", fields])?;
    let why = |line: &str| line.trim_start().strip_prefix("QUORATE_REASON=").is_some_and(|reason| !reason.is_empty());
    ensure!(reasons.lines().any(why), "no reason in the journal:\n{reasons}");
    Ok(())
}

pub fn a_report_has_units_journal_and_plan_and_no_secret(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let master = &lab.masters[lab.holder()?];
    // Where they are in real life (keys), and where they do not belong: in the journal of one of our units, in a drop.
    let plant = format!(
        "systemd-cat -t quorate true; \
         systemd-run --quiet --wait --unit=quorate-planted echo 'password: {CANARY}, and the step is done'; \
         echo '# Authorization: Bearer {CANARY}' >/var/lib/quorate/drop/manifest.yaml; \
         echo {CANARY} >/var/lib/quorate/pki/planted.key; \
         rm -rf /run/report && mkdir /run/report && cd /run/report && \
         quorate report --output r.tar && tar -xf r.tar && rm r.tar"
    );
    master.must("sh", &["-c", &plant])?;
    let read = |file: &str| master.must("cat", &[&format!("/run/report/quorate-report/{file}")]);
    for (file, words) in [
        ("units.txt", "quorate-vrrpd.service"),
        ("units.txt", "active"),
        ("journal.txt", "converged: lab generation"),
        ("journal.txt", "and the step is done"),
        ("plan.json", "quorate/plan/v1"),
        ("status.json", "quorate/status/v1"),
    ] {
        let text = read(file)?;
        ensure!(text.contains(words), "{file} has no '{words}':\n{text}");
    }
    let key = master.must("sh", &["-c", "sed -n 2p /var/lib/quorate/pki/node.key"])?;
    for secret in [CANARY, key.trim()] {
        ensure!(secret.len() > 10, "there is no key to look for");
        let found = master.ask("grep", &["-rlF", "--", secret, "/run/report"])?;
        let found = String::from_utf8_lossy(&found.stdout).into_owned();
        ensure!(found.is_empty(), "a planted secret is in {found}");
    }
    master.must(
        "sh",
        &["-c", "rm -r /run/report /var/lib/quorate/pki/planted.key /var/lib/quorate/drop/manifest.yaml"],
    )?;
    Ok(())
}
