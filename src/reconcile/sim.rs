//! A simulated host for the tests of this folder: one master of three whose peers are well.

#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

use super::host::{Host, StepError};
use super::{Action, Desired, Observed};
use crate::etcd::cluster::{Condition, Listed, Role, View};
use crate::etcd::genesis::{Held, Marker, Round, Stamp};
use crate::etcd::material::Material;
use crate::etcd::summary::{Health, Leading, MemberSummary, Quorum, Summary};
use crate::etcd::{self, DataDirectory, Local, LocalStatus, Places};
use crate::file::{ObservedFile, RenderedFile};
use crate::ident::{Digest, Generation, NodeName};
use crate::manifest::parse::parse;
use crate::network::{self, Carrier, Link};
use crate::paths::Paths;
use crate::pki::issue::Authority;
use crate::pki::{self, Dropped, Installed, profile};
use crate::plan::Hold;
use crate::status::notice::Notice;
use crate::status::{Phase, VrrpRole};
use crate::systemd::{Unit, UnitState, Verb};
use crate::trust::Verified;
use crate::vrrp;
use crate::vrrp::config::Fence;
use crate::vrrp::counters::Counted;
use crate::vrrp::machine;
use crate::vrrp::state::{ObservedState, RouterState, State};
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::time::Instant;

const ETCD_CLUSTER: u64 = 0xc1;
const MEMBER: u64 = 0xa1;

/// Where the process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Death {
    /// Before the effect of the n-th action.
    Before(usize),
    /// After its effect, before anybody hears of it.
    After(usize),
    Never,
}

/// One master of three whose peers are well; everything that outlives a process.
pub(crate) struct SimHost {
    pub(crate) dropped: pki::bundle::Bundle,
    pub(crate) installed: Installed,
    /// Whether the bundle lies in the drop directory.
    pub(crate) bundle: bool,
    pub(crate) link: Carrier,
    pub(crate) files: BTreeMap<PathBuf, (Digest, u32)>,
    pub(crate) vrrpd: UnitState,
    pub(crate) vrrpd_runs: Option<Digest>,
    pub(crate) etcd: UnitState,
    pub(crate) data: DataDirectory,
    /// How often anything was put into the data directory.
    pub(crate) touched: i64,
    pub(crate) held: Held,
    pub(crate) peers_agree: bool,
    pub(crate) dropped_meanwhile: bool,
    /// The part that the daemon plays once it runs.
    pub(crate) role: machine::State,
    /// What the other masters tell, at their next notice and after it; those that are missing do not answer.
    pub(crate) others: BTreeMap<NodeName, VrrpRole>,
    /// When the others told last, in seconds.
    pub(crate) told_at: i64,
    /// Whether they tell again before every look.
    pub(crate) talkative: bool,
    /// What the member list has, once etcd runs.
    pub(crate) listed: Vec<Listed>,
    // What belongs to one process.
    pub(crate) executed: usize,
    pub(crate) death: Death,
}

impl SimHost {
    pub(crate) fn new() -> Self {
        let manifest = manifest(EXAMPLE, &[]);
        let authority = Authority::create(&profile::authority(now())).unwrap();
        let dropped = authority.issue(&profile::node(manifest.get(), &manifest.get().masters[0], now())).unwrap();
        Self {
            dropped,
            installed: Installed::Absent,
            bundle: true,
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
            role: machine::State::Backup,
            others: ["m2", "m3"].map(|name| (name.parse().unwrap(), VrrpRole::Backup)).into(),
            told_at: 0,
            talkative: true,
            listed: vec![listed(1)],
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
            members: self.listed.clone(),
            leader: MEMBER,
            genesis: None,
            generation: None,
            recovered: None,
            marks: BTreeMap::new(),
            from: desired.me().name.clone(),
        })
    }

    fn router(&self, desired: &Desired) -> RouterState {
        let manifest = desired.manifest();
        RouterState {
            vrid: manifest.vrrp.router_id,
            link: "eth0".into(),
            state: self.role,
            since: now(),
            why: None,
            obstacle: None,
            priority: 254,
            active: None,
            transitions: 1,
            recent: Vec::new(),
            addresses: manifest.vip.addresses.clone(),
            counters: Counted::default(),
        }
    }

    /// What the others tell, each at the end of its runs.
    fn summary(&self) -> Summary {
        let member = |name: &NodeName| MemberSummary {
            name: name.to_string(),
            id: None,
            role: Some(Role::Voter),
            health: Health::Healthy,
            leader: Leading::Follower,
            version: None,
        };
        let notice = |role: &VrrpRole| Notice {
            at: jiff::Timestamp::from_second(self.told_at).unwrap(),
            phase: Phase::Converged,
            generation: Generation(1),
            digest: Digest::of(b""),
            vrrp: *role,
        };
        let told = |(name, role)| (NodeName::clone(name), serde_json::to_vec(&notice(role)).unwrap());
        Summary {
            cluster: None,
            quorum: Quorum::Unknown,
            members: self.others.keys().map(member).collect(),
            advice: Vec::new(),
            notices: self.others.iter().map(told).collect(),
        }
    }
}

impl Host for SimHost {
    async fn observe(&mut self, desired: &Desired) -> Observed {
        self.told_at += i64::from(self.talkative);
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
                term: 2,
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
                routers: vec![self.router(desired)],
                unassigned: Counted::default(),
            }))
        });
        Observed {
            pki: pki::Observed {
                at: now(),
                dropped: self
                    .bundle
                    .then(|| Dropped { origin: "/etc/quorate/drop/node.pem".into(), bundle: Ok(self.dropped.clone()) })
                    .into_iter()
                    .collect(),
                installed: self.installed.clone(),
                place: "/var/lib/quorate/pki".into(),
            },
            network: network::Observed::Links(vec![Link {
                name: "eth0".into(),
                alt_names: Vec::new(),
                mac: None,
                carrier: self.link,
                addresses: vec!["10.20.0.11/24".parse().unwrap()],
                gateways: Vec::new(),
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
                past: etcd::highwater::Seen::default(),
                versions: BTreeMap::new(),
                // Whoever the manifest names no more has had its time to leave by itself.
                watched: etcd::watch::Watched {
                    still: self.listed.iter().map(|listed| (listed.id, etcd::watch::LEAVE_WITHIN)).collect(),
                    ..etcd::watch::Watched::default()
                },
                recovery: None,
                conditions: self.listed.iter().map(|listed| (listed.id, Condition::Healthy)).collect(),
                places,
            },
            cluster: self.summary(),
            storage: Vec::new(),
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

/// Master `number` as the member list has it.
pub(crate) fn listed(number: u8) -> Listed {
    let address = std::net::IpAddr::from([10, 20, 0, 10 + number]);
    Listed {
        id: MEMBER + u64::from(number) - 1,
        name: format!("m{number}"),
        peer_urls: vec![etcd::peer_url(address)],
        client_urls: vec![etcd::client_url(address)],
        role: Role::Voter,
    }
}

pub(crate) fn now() -> jiff::Timestamp {
    "2026-11-22T20:00:00Z".parse().unwrap()
}

/// The manifest that the host of these tests belongs to.
pub(crate) const EXAMPLE: &str = "spec/examples/three-masters.yaml";

/// An example with some of its text replaced.
pub(crate) fn manifest(path: &str, edits: &[(&str, &str)]) -> Verified<crate::manifest::Manifest> {
    let mut text = std::fs::read_to_string(path).unwrap();
    for (old, new) in edits {
        assert!(text.contains(old), "{path} has no '{old}'");
        text = text.replace(old, new);
    }
    Verified::assumed(parse(path, text.as_bytes()).unwrap().manifest)
}

/// What it asks of its first master.
pub(crate) fn desired(edits: &[(&str, &str)]) -> Desired {
    let manifest = manifest(EXAMPLE, edits);
    let me = manifest.get().masters[0].name.clone();
    Desired::new(manifest, &me, Paths::default()).unwrap()
}
