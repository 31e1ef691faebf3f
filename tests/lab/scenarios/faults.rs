//! What must not happen to a master that works, and what must happen to a run that is killed.

use crate::harness::Lab;
use crate::harness::desk::Signer;
use crate::harness::master::{DropPlace, Master};
use anyhow::{Context as _, ensure};
use quorate::ident::Digest;
use std::time::{Duration, Instant};

/// How long a run lives before it is killed, one after the other: from the first milliseconds (nothing accepted yet)
/// over the rounds in which files are rendered and units started to the wait for genesis.
const LIVES: [Duration; 12] = [
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(35),
    Duration::from_millis(60),
    Duration::from_millis(100),
    Duration::from_millis(170),
    Duration::from_millis(300),
    Duration::from_millis(500),
    Duration::from_millis(800),
    Duration::from_millis(1300),
];

pub fn reconcile_killed_again_and_again_converges_in_the_end(lab: &mut Lab) -> anyhow::Result<()> {
    lab.wipe_all()?;
    lab.boot_all()?;
    lab.desk.prepare()?;
    for master in &lab.masters {
        // The timer and the path unit would start runs that nobody kills.
        master.must("systemctl", &["stop", "quorate-reconcile.timer", "quorate-reconcile.path"])?;
    }
    lab.drop_everywhere()?;
    for life in LIVES {
        for master in &lab.masters {
            master.must("systemctl", &["start", "--no-block", "quorate-reconcile.service"])?;
        }
        std::thread::sleep(life);
        for master in &lab.masters {
            // It may have ended by itself; then there is nothing to kill.
            let _ = master.ask("systemctl", &["kill", "--signal=KILL", "quorate-reconcile.service"])?;
            let _ = master.ask("systemctl", &["stop", "quorate-reconcile.service"])?;
        }
    }
    for master in &lab.masters {
        master.must("systemctl", &["start", "--no-block", "quorate-reconcile.service"])?;
        master.must("systemctl", &["start", "quorate-reconcile.timer", "quorate-reconcile.path"])?;
    }
    lab.await_converged()
}

pub fn a_second_reconcile_waits_for_the_first(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let master = &lab.masters[0];
    let held = Duration::from_secs(2);
    let mut holder = master.command("flock", &["/run/quorate/lock", "sleep", "2"])?.spawn()?;
    std::thread::sleep(Duration::from_millis(200));
    let start = Instant::now();
    let second = master.ask("quorate", &["reconcile"])?;
    let waited = start.elapsed();
    holder.wait()?;
    let said = String::from_utf8_lossy(&second.stderr);
    ensure!(second.status.success(), "it leaves with {}: {said}", second.status);
    ensure!(waited >= held / 2, "it did not wait for the lock: {waited:?}");
    Ok(())
}

pub fn a_refused_drop_changes_nothing_and_is_reported(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let files = lab.desk.drop_for(&lab.masters[0])?;
    let file = |wanted: &str| files.iter().find(|(name, _)| *name == wanted).map(|(_, bytes)| bytes.clone());
    let manifest = file("manifest.yaml").context("no manifest on the desk")?;
    let signature = file("manifest.yaml.sig").context("no signature on the desk")?;
    let tampered = [&manifest[..], b"# one byte too many\n"].concat();
    let next = String::from_utf8(manifest.clone())?.replace("generation: 1 ", "generation: 2 ");
    ensure!(next.as_bytes() != manifest, "the manifest has no generation 1 to raise");
    let stranger = lab.desk.sign_unasked(next.as_bytes(), Signer::Stranger)?;
    let fourth = "    - { name: m4, address: 10.20.0.14, identity: { hostname: m4 } }\n  vrrp:";
    let four = next.replacen("  vrrp:", fourth, 1);
    let four_signed = lab.desk.sign_unasked(four.as_bytes(), Signer::Admin)?;
    let huge = vec![b'#'; 10 << 20];
    let refusals: [(&str, &[u8], &[u8], i32); 5] = [
        ("tampered", &tampered, &signature, 5),
        ("unsigned", next.as_bytes(), b"", 5),
        ("signed by a stranger", next.as_bytes(), &stranger, 5),
        ("four masters", four.as_bytes(), &four_signed, 3),
        ("ten megabytes", &huge, &signature, 5),
    ];
    let master = &lab.masters[0];
    let before = Fingerprint::of(master)?;
    for (what, manifest, signature, code) in refusals {
        // A place of its own, so that the good drop stays where it was.
        master.put_drop(DropPlace::Etc, &[("manifest.yaml.sig", signature), ("manifest.yaml", manifest)])?;
        let run = master.ask("quorate", &["reconcile"])?;
        let said = String::from_utf8_lossy(&run.stderr).into_owned() + &String::from_utf8_lossy(&run.stdout);
        ensure!(run.status.code() == Some(code), "{what}: leaves with {}, not {code}:\n{said}", run.status);
        ensure!(said.contains("/etc/quorate/drop"), "{what}: the message does not name the place:\n{said}");
        let status = master.status()?;
        ensure!(!status.refused_drops.is_empty(), "{what}: the status does not show the refusal");
        ensure!(Fingerprint::of(master)? == before, "{what}: something on the host changed");
    }
    master.must("sh", &["-c", "rm /etc/quorate/drop/*"])?;
    ensure!(master.ask("quorate", &["reconcile"])?.status.success(), "the last good drop is not in force any more");
    lab.await_converged()
}

/// Signed and valid in itself, and yet not for this host: it is in force, what it asks of the network is refused with the
/// reason, and what works goes on working.
pub fn a_manifest_that_does_not_fit_the_host_is_refused_and_the_vip_stays(lab: &mut Lab) -> anyhow::Result<()> {
    lab.converge()?;
    let holder = lab.holder()?;
    let master = &lab.masters[holder];
    let files = lab.desk.drop_for(master)?;
    let (_, manifest) = files.iter().find(|(name, _)| *name == "manifest.yaml").context("no manifest on the desk")?;
    let manifest = String::from_utf8(manifest.clone())?;
    let own = format!("hostname: {} ", master.name);
    let misfits = [
        ("interface: eth0", "interface: eth7", "no link here answers to 'eth7'; there are: "),
        ("[10.20.0.100]", "[10.99.0.100]", "the VIP 10.99.0.100 is in the subnet of no address of eth0"),
        (own.as_str(), "hostname: nobody ", "this host is none of the masters of cluster 'lab'"),
    ];
    let put = |generation: usize, manifest: &str| -> anyhow::Result<()> {
        let manifest = manifest.replace("generation: 1 ", &format!("generation: {generation} "));
        let signature = lab.desk.sign_unasked(manifest.as_bytes(), Signer::Admin)?;
        master.put_drop(DropPlace::Etc, &[("manifest.yaml.sig", &signature), ("manifest.yaml", manifest.as_bytes())])
    };
    for (at, (good, bad, why)) in misfits.iter().enumerate() {
        ensure!(manifest.contains(good), "the starter has no '{good}' any more");
        put(at + 2, &manifest.replace(good, bad))?;
        for verb in [&["reconcile", "--wait", "2s"][..], &["plan"]] {
            let run = master.ask("quorate", verb)?;
            let said = String::from_utf8_lossy(&run.stderr).into_owned() + &String::from_utf8_lossy(&run.stdout);
            ensure!(run.status.code() == Some(3), "{bad}: {verb:?} leaves with {}, not 3:\n{said}", run.status);
            ensure!(said.contains(why), "{bad}: {verb:?} does not say why:\n{said}");
        }
        ensure!(lab.holder()? == holder, "{bad}: the VIP moved");
    }
    put(misfits.len() + 2, &manifest)?;
    lab.await_converged()
}

/// What a refused drop must leave alone: the manifest in force, the key material, the daemons.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint {
    manifest: Digest,
    daemons: Vec<String>,
    pki: String,
}

impl Fingerprint {
    fn of(master: &Master) -> anyhow::Result<Self> {
        let daemons = ["quorate-etcd.service", "quorate-vrrpd.service"];
        Ok(Self {
            manifest: master.status()?.manifest.context("no manifest in force")?.digest,
            daemons: daemons.iter().map(|unit| master.unit(unit, "MainPID")).collect::<anyhow::Result<_>>()?,
            pki: master.must("sh", &["-c", "cat /var/lib/quorate/pki/* | sha256sum"])?,
        })
    }
}
