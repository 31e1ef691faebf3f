//! A manifest on trial: kept when it proves good, taken back in every other way that a night offers.

use crate::harness::Lab;
use crate::harness::desk::Signer;
use crate::harness::master::Master;
use crate::harness::wait;
use anyhow::{Context as _, ensure};
use std::io::Write as _;
use std::process::{Child, Output, Stdio};
use std::time::Duration;

/// Where the candidate lies on a master: in no drop directory.
const CANDIDATE: &str = "/run/candidate.yaml";
/// For a taken-back trial to be as before; the run behind it starts at once.
const BACK_WITHIN: Duration = Duration::from_secs(60);

pub fn a_manifest_on_trial_is_kept_only_when_it_proves_good(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let master = &lab.masters[holder];
    let generation = generation(master)?;
    // A second link on a segment of its own, with an address in the VIP's subnet: nothing is wrong with it but the place.
    let add = "ip link add eth1 type veth peer name nowhere && ip link set nowhere up && ip link set eth1 up \
               && ip address add 10.20.0.211/24 dev eth1 noprefixroute";
    master.must("sh", &["-c", add])?;
    let next = (generation + 1).to_string();
    put(lab, master, &[("interface: eth0", "interface: eth1"), ("generation: 1 ", &format!("generation: {next} "))])?;
    let plan = master.ask("quorate", &["plan", "--try", CANDIDATE])?;
    ensure!(plan.status.code() == Some(4), "plan --try leaves with {}:\n{}", plan.status, said(&plan));
    let mut others = talkative(lab, holder)?;
    let tried = master.ask("quorate", &["reconcile", "--try", "90s", CANDIDATE])?;
    others.iter_mut().try_for_each(|other| other.wait().map(drop))?;
    ensure!(tried.status.code() == Some(7), "the wrong link: leaves with {}:\n{}", tried.status, said(&tried));
    ensure!(said(&tried).contains("hold the VIP"), "the wrong link: it does not say why:\n{}", said(&tried));
    as_before(lab, holder, generation)?;
    master.must("ip", &["link", "delete", "eth1"])?;

    // Nothing was used up: the same generation, good this time. First nobody is asked, then somebody who says yes.
    for (step, interval) in [(1, "200ms"), (2, "250ms")] {
        let number = format!("generation: {} ", generation + step);
        let interval = format!("advertiseInterval: {interval}");
        put(lab, master, &[("advertiseInterval: 100ms", &interval), ("generation: 1 ", &number)])?;
        let mut others = talkative(lab, holder)?;
        let tried = match step {
            1 => master.ask("quorate", &["reconcile", "--try", "90s", CANDIDATE])?,
            _ => at_a_terminal(master, "90s", "\n")?,
        };
        others.iter_mut().try_for_each(|other| other.wait().map(drop))?;
        ensure!(tried.status.success(), "a good manifest: leaves with {}:\n{}", tried.status, said(&tried));
        as_before(lab, holder, generation + step)?;
    }
    Ok(())
}

/// The other masters give their word every few seconds, as their timers would every 41.
fn talkative(lab: &Lab, holder: usize) -> anyhow::Result<Vec<Child>> {
    let runs = "for run in 1 2 3 4 5; do sleep 3; quorate reconcile --wait 0s; done";
    let others = lab.masters.iter().enumerate().filter(|(number, _)| *number != holder);
    let run = |master: &Master| -> anyhow::Result<Child> {
        Ok(master.command("sh", &["-c", runs])?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
    };
    others.map(|(_, master)| run(master)).collect()
}

/// A trial at a terminal, where this is typed; script(1) is the terminal.
fn at_a_terminal(master: &Master, limit: &str, typed: &str) -> anyhow::Result<Output> {
    let command = format!("quorate reconcile --try {limit} {CANDIDATE}");
    let mut terminal = master.command("script", &["-qec", &command, "/dev/null"])?;
    let mut tried = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // Held open: a terminal that closes is an answer.
    let mut keyboard = tried.stdin.take().context("no keyboard")?;
    keyboard.write_all(typed.as_bytes())?;
    let tried = tried.wait_with_output()?;
    drop(keyboard);
    Ok(tried)
}

pub fn a_trial_that_nobody_confirms_or_that_is_killed_is_taken_back(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let master = &lab.masters[holder];
    let generation = generation(master)?;
    let before = config(master)?;
    let next = (generation + 1).to_string();
    put(
        lab,
        master,
        &[
            ("advertiseInterval: 100ms", "advertiseInterval: 300ms"),
            ("generation: 1 ", &format!("generation: {next} ")),
        ],
    )?;

    // A terminal, and nobody sits at it.
    let tried = at_a_terminal(master, "8s", "")?;
    ensure!(tried.status.code() == Some(7), "unconfirmed: leaves with {}:\n{}", tried.status, said(&tried));
    // Which of the two depends on whether the others' timers came in time.
    let why = ["nobody confirmed it", "did not verify in time"].iter().any(|words| said(&tried).contains(words));
    let asked = said(&tried).contains("Enter keeps it");
    ensure!(asked && why, "nobody was asked, or not for as long as that:\n{}", said(&tried));
    as_before(lab, holder, generation)?;

    // SIGKILL, and a session that hangs up, in the middle of it.
    for signal in ["KILL", "HUP"] {
        let command = format!("echo $$ >/run/trial.pid; exec quorate reconcile --try 120s {CANDIDATE}");
        let mut trial = master.command("sh", &["-c", &command])?.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        wait::until(
            "the trial to change the router",
            BACK_WITHIN,
            |_, _| {},
            || {
                ensure!(config(master)? != before, "it runs the manifest in force");
                let screen = String::from_utf8(master.ask("quorate", &["status"])?.stdout)?;
                ensure!(screen.contains("at work try generation"), "the status says nothing of it:\n{screen}");
                Ok(())
            },
        )?;
        master.must("sh", &["-c", &format!("kill -{signal} $(cat /run/trial.pid)")])?;
        trial.wait()?;
        wait::until(
            "the way back",
            BACK_WITHIN,
            |_, _| {},
            || {
                ensure!(config(master)? == before, "SIG{signal}: the router still runs the candidate");
                Ok(())
            },
        )?;
        as_before(lab, holder, generation)?;
    }
    Ok(())
}

/// The candidate for one master: the desk's manifest with these changes, signed.
fn put(lab: &Lab, master: &Master, edits: &[(&str, &str)]) -> anyhow::Result<()> {
    let files = lab.desk.drop_for(master)?;
    let (_, manifest) = files.iter().find(|(name, _)| *name == "manifest.yaml").context("no manifest on the desk")?;
    let mut manifest = String::from_utf8(manifest.clone())?;
    for (old, new) in edits {
        ensure!(manifest.contains(old), "the starter has no '{old}' any more");
        manifest = manifest.replace(old, new);
    }
    let signature = lab.desk.sign_unasked(manifest.as_bytes(), Signer::Admin)?;
    master.put_file(CANDIDATE, manifest.as_bytes())?;
    master.put_file(&format!("{CANDIDATE}.sig"), &signature)
}

/// One VIP, a whole cluster, and this generation in force and as the mark.
fn as_before(lab: &Lab, holder: usize, generation: u64) -> anyhow::Result<()> {
    lab.await_converged()?;
    let master = &lab.masters[holder];
    ensure!(self::generation(master)? == generation, "generation {} is in force", self::generation(master)?);
    let mark: serde_json::Value = serde_json::from_str(&master.must("cat", &["/var/lib/quorate/highwater.json"])?)?;
    ensure!(mark["generation"] == generation, "the mark is {mark}");
    Ok(())
}

fn generation(master: &Master) -> anyhow::Result<u64> {
    Ok(master.status()?.manifest.context("no manifest in force")?.generation.0)
}

fn config(master: &Master) -> anyhow::Result<String> {
    // What the daemon runs, not what is rendered for it.
    let state: serde_json::Value = serde_json::from_str(&master.must("cat", &["/run/quorate/vrrpd/state.json"])?)?;
    Ok(state["configDigest"].to_string())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}
