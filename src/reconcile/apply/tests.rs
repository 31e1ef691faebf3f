//! A simulated host, killed between and inside any two steps: the next run has to finish what was begun.

use super::*;
use crate::etcd::cluster::{Listed, Role, View};
use crate::etcd::genesis::{Held, Marker, Round, Stamp};
use crate::etcd::material::Material;
use crate::etcd::summary::{Quorum, Summary};
use crate::etcd::{self, DataDirectory, Local, LocalStatus, Places};
use crate::file::{ObservedFile, RenderedFile};
use crate::ident::Digest;
use crate::manifest::parse::parse;
use crate::network::{self, Carrier, Link};
use crate::paths::Paths;
use crate::pki::issue::Authority;
use crate::pki::{self, Dropped, Installed, profile};
use crate::plan::Step;
use crate::systemd::{Unit, UnitState, Verb};
use crate::trust::Verified;
use crate::vrrp;
use crate::vrrp::config::{Config, Fence};
use crate::vrrp::counters::Counted;
use crate::vrrp::state::{ObservedState, State};
use std::collections::BTreeMap;
use std::path::PathBuf;

const ETCD_CLUSTER: u64 = 0xc1;
const MEMBER: u64 = 0xa1;

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Death {
    /// Before the effect of the n-th action.
    Before(usize),
    /// After its effect, before anybody hears of it.
    After(usize),
    Never,
}

/// One master of three whose peers are well; everything that outlives a process.
struct SimHost {
    dropped: pki::bundle::Bundle,
    installed: Installed,
    link: Carrier,
    files: BTreeMap<PathBuf, (Digest, u32)>,
    vrrpd: UnitState,
    vrrpd_runs: Option<Digest>,
    etcd: UnitState,
    data: DataDirectory,
    /// How often anything was put into the data directory.
    touched: i64,
    held: Held,
    peers_agree: bool,
    dropped_meanwhile: bool,
    // What belongs to one process.
    executed: usize,
    death: Death,
}

impl SimHost {
    fn new() -> Self {
        let manifest = manifest();
        let authority = Authority::create(&profile::authority(now())).unwrap();
        let dropped = authority.issue(&profile::node(manifest.get(), &manifest.get().masters[0], now())).unwrap();
        Self {
            dropped,
            installed: Installed::Absent,
            link: Carrier::Present,
            files: BTreeMap::new(),
            vrrpd: UnitState::Inactive,
            vrrpd_runs: None,
            etcd: UnitState::Inactive,
            data: DataDirectory::Absent,
            touched: 0,
            held: Held::Nothing,
            peers_agree: true,
            dropped_meanwhile: false,
            executed: 0,
            death: Death::Never,
        }
    }

    fn file(&self, path: &PathBuf) -> ObservedFile {
        match self.files.get(path) {
            Some((digest, mode)) => ObservedFile::Present { digest: *digest, mode: *mode },
            None => ObservedFile::Absent,
        }
    }

    fn write(&mut self, file: &RenderedFile) {
        self.files.insert(file.path.clone(), (file.digest(), file.mode));
    }

    /// The effect of one action on the world.
    fn effect(&mut self, desired: &Desired, action: &Action) {
        match action {
            Action::Pki(pki::Action::Install { .. }) => self.installed = Installed::Present(self.dropped.clone()),
            Action::Vrrp(vrrp::Action::WriteConfig(file)) => self.write(file),
            Action::Vrrp(vrrp::Action::Unit(unit)) | Action::Etcd(etcd::Action::Unit(unit)) => {
                match (unit.unit, unit.verb) {
                    (Unit::Vrrpd, Verb::Start | Verb::ResetAndStart | Verb::Reload) => {
                        self.vrrpd = UnitState::Active;
                        self.vrrpd_runs = self.files.get(&desired.paths().vrrpd_config()).map(|(digest, _)| *digest);
                    }
                    (Unit::Etcd, Verb::Start | Verb::ResetAndStart) => {
                        self.etcd = UnitState::Active;
                        self.data = DataDirectory::HasWal;
                        self.touched += 1;
                    }
                    other => panic!("nobody should ask for {other:?}"),
                }
            }
            Action::Etcd(etcd::Action::FormCluster { .. }) => {
                let subject = desired.etcd();
                let round = Round {
                    cluster: subject.cluster,
                    members: subject.members,
                    nonce: "00112233445566778899aabbccddeeff".parse().unwrap(),
                };
                self.held = Held::Marker(Marker::Committed { round });
            }
            Action::Etcd(etcd::Action::WriteMarker { marker }) => self.held = Held::Marker(marker.clone()),
            Action::Etcd(etcd::Action::Render { file }) => self.write(file),
            Action::Etcd(etcd::Action::AwaitFormation) => {}
            Action::Etcd(etcd::Action::RecordFormed { etcd, member, .. }) => {
                let cluster = desired.manifest().cluster_id.clone();
                self.held = Held::Marker(Marker::Formed { cluster, etcd: *etcd, member: *member });
            }
            other => panic!("genesis never needs {other}"),
        }
    }

    fn view(&self, desired: &Desired) -> Option<View> {
        (self.etcd == UnitState::Active).then(|| View {
            cluster: ETCD_CLUSTER,
            members: vec![Listed {
                id: MEMBER,
                name: desired.me().name.to_string(),
                peer_urls: vec![etcd::peer_url(desired.me().address)],
                client_urls: vec![etcd::client_url(desired.me().address)],
                role: Role::Voter,
            }],
            leader: MEMBER,
            genesis: None,
            generation: None,
            from: desired.me().name.clone(),
        })
    }
}

impl Host for SimHost {
    async fn observe(&mut self, desired: &Desired) -> Observed {
        let places = Places { run: "/run/quorate/etcd".into(), data: "/var/lib/etcd".into() };
        let material = match &self.installed {
            Installed::Present(bundle) => Ok(Material::new(
                bundle.key().as_bytes().to_vec(),
                bundle.certificate().as_bytes().to_vec(),
                bundle.ca().as_bytes().to_vec(),
            )),
            _ => Err("nothing is installed".to_owned()),
        };
        let files = ["environment", pki::KEY, pki::CERTIFICATE, pki::CA].map(|name| places.run.join(name));
        let local = match self.etcd {
            UnitState::Active => Local::Answers(LocalStatus {
                cluster: ETCD_CLUSTER,
                member: MEMBER,
                version: "3.5.30".into(),
                role: Role::Voter,
                leader: Some(MEMBER),
                applied: 9,
                alarms: Vec::new(),
            }),
            _ => Local::Silent { why: "connection refused".into() },
        };
        let state = self.vrrpd_runs.map_or(ObservedState::Absent, |config_digest| {
            ObservedState::Present(Box::new(State {
                config_digest,
                updated: now(),
                fence: Fence::Lease,
                fence_problem: None,
                fence_refreshes: 0,
                unhealthy: Vec::new(),
                routers: Vec::new(),
                unassigned: Counted::default(),
            }))
        });
        Observed {
            pki: pki::Observed {
                at: now(),
                dropped: vec![Dropped {
                    origin: "/etc/quorate/drop/node.pem".into(),
                    bundle: Ok(self.dropped.clone()),
                }],
                installed: self.installed.clone(),
                place: "/var/lib/quorate/pki".into(),
            },
            network: network::Observed::Links(vec![Link {
                name: "eth0".into(),
                alt_names: Vec::new(),
                mac: None,
                carrier: self.link,
                addresses: vec!["10.20.0.11/24".parse().unwrap()],
            }]),
            vrrp: vrrp::Observed {
                config_file: self.file(&desired.paths().vrrpd_config()),
                unit: self.vrrpd.clone(),
                state,
            },
            etcd: etcd::Observed {
                data: self.data.clone(),
                stamp: Some(Stamp { device: 1, inode: 2, modified_s: 3, modified_ns: self.touched }),
                room: Ok(()),
                damage: None,
                held: self.held.clone(),
                unit: self.etcd.clone(),
                material,
                files: files.into_iter().map(|path| (path.clone(), self.file(&path))).collect(),
                local,
                peers: BTreeMap::new(),
                view: self.view(desired),
                conditions: BTreeMap::new(),
                versions: BTreeMap::new(),
                watched: etcd::watch::Watched::default(),
                places,
            },
            cluster: Summary {
                cluster: None,
                quorum: Quorum::Unknown,
                members: Vec::new(),
                advice: Vec::new(),
                notices: BTreeMap::new(),
            },
        }
    }

    async fn execute(
        &mut self,
        desired: &Desired,
        action: &Action,
        _deadline: Instant,
        progress: &mut dyn FnMut(&str),
    ) -> Result<(), StepError> {
        let dead = || StepError::Failed { attempt: "the process was killed".into(), source: "SIGKILL".into() };
        self.executed += 1;
        if self.death == Death::Before(self.executed) {
            return Err(dead());
        }
        if matches!(action, Action::Etcd(etcd::Action::FormCluster { .. })) && !self.peers_agree {
            progress("waiting for m2");
            return Err(StepError::Held { hold: Hold::Waiting, why: "m2 does not answer".into() });
        }
        self.effect(desired, action);
        if self.death == Death::After(self.executed) { Err(dead()) } else { Ok(()) }
    }

    fn new_input(&mut self) -> bool {
        self.dropped_meanwhile
    }
}

fn now() -> jiff::Timestamp {
    "2026-11-22T20:00:00Z".parse().unwrap()
}

fn manifest() -> Verified<crate::manifest::Manifest> {
    let path = "spec/examples/three-masters.yaml";
    let bytes = std::fs::read(path).unwrap();
    Verified::assumed(parse(path, &bytes).unwrap().manifest)
}

fn desired() -> Desired {
    let manifest = manifest();
    let me = manifest.get().masters[0].name.clone();
    Desired::new(manifest, &me, Paths::default()).unwrap()
}

async fn run(host: &mut SimHost, patience: Duration) -> (Ending, Vec<String>) {
    let mut done = Vec::new();
    let ending = converge(host, &desired(), Instant::now() + patience, &mut |event| {
        if let Event::Done(Step { action, .. }) = event {
            done.push(action.to_string());
        }
    })
    .await;
    (ending, done)
}

#[tokio::test(start_paused = true)]
async fn an_empty_host_becomes_a_member_and_then_there_is_nothing_left_to_do() {
    let mut host = SimHost::new();
    let (ending, done) = run(&mut host, Duration::ZERO).await;
    assert!(matches!(ending, Ending::Converged), "{ending:?} after {done:#?}");
    let (ending, done) = run(&mut host, Duration::ZERO).await;
    assert!(matches!(ending, Ending::Converged));
    assert_eq!(done, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn killed_before_or_after_any_step_the_next_run_converges() {
    let (_, steps) = run(&mut SimHost::new(), Duration::ZERO).await;
    assert!(steps.len() > 8, "a shrunken plan would make this test empty: {steps:#?}");
    for at in 1..=steps.len() {
        for death in [Death::Before(at), Death::After(at)] {
            let mut host = SimHost { death, ..SimHost::new() };
            let (ending, _) = run(&mut host, Duration::ZERO).await;
            assert!(matches!(ending, Ending::Failed(_)), "{death:?}: {ending:?}");
            (host.death, host.executed) = (Death::Never, 0);
            let (ending, done) = run(&mut host, Duration::ZERO).await;
            // Also between the marker `executed` and the start: the directory shows that etcd never began.
            assert!(matches!(ending, Ending::Converged), "{death:?}: {ending:?} after {done:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_vip_does_not_wait_for_etcd_nor_etcd_for_the_vip() {
    let mut alone = SimHost { peers_agree: false, ..SimHost::new() };
    let (ending, _) = run(&mut alone, Duration::from_secs(5)).await;
    assert!(
        matches!(&ending, Ending::Waiting(blocked) if blocked.iter().any(|b| b.why == "m2 does not answer")),
        "{ending:?}"
    );
    assert_eq!(alone.vrrpd, UnitState::Active);

    let mut unplugged = SimHost { link: Carrier::Absent, ..SimHost::new() };
    let (ending, _) = run(&mut unplugged, Duration::from_secs(5)).await;
    assert!(matches!(ending, Ending::Waiting(_)), "{ending:?}");
    assert_eq!((unplugged.etcd, unplugged.vrrpd), (UnitState::Active, UnitState::Inactive));
}

#[tokio::test(start_paused = true)]
async fn a_failed_step_ends_its_own_part_and_no_other() {
    // The first action of all is the VRRP configuration; its part ends there, the others go on.
    let mut host = SimHost { death: Death::Before(1), ..SimHost::new() };
    let (ending, done) = run(&mut host, Duration::ZERO).await;
    let Ending::Failed(failures) = ending else { panic!("{ending:?}") };
    assert_eq!(failures.len(), 1);
    assert_eq!(failures[0].step.action.part(), Part::Vrrp);
    assert_eq!(host.vrrpd, UnitState::Inactive);
    assert_eq!(done, ["install the key and certificates of '/etc/quorate/drop/node.pem'"]);
}

#[test]
fn the_simulated_daemon_runs_what_the_plan_renders() {
    let desired = desired();
    let rendered = desired.vrrp("eth0").config;
    assert!(Config::parse(&rendered.content).is_ok());
}

#[tokio::test(start_paused = true)]
async fn what_was_dropped_during_the_run_is_looked_at_before_it_ends() {
    let mut host = SimHost { dropped_meanwhile: true, ..SimHost::new() };
    let (ending, _) = run(&mut host, Duration::ZERO).await;
    assert!(matches!(ending, Ending::NewInput), "{ending:?}");
}
