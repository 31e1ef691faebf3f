//! One run: observe, plan, apply, and plan again until nothing is left to do.
//!
//! The folder joins the subjects (pki, network, vrrp, etcd) without knowing what any of them decides. It owns the
//! order, the lock, the deadline and the status document. It never carries out anything that is not in a plan.

pub mod account;
pub mod apply;
pub mod attempt;
pub mod host;
pub mod input;
pub mod lock;
pub mod machine;
pub mod observe;
pub mod plan;
pub mod run;
#[cfg(test)]
pub(crate) mod sim;
pub mod story;
pub mod trial;

use crate::file::{Owner, RenderedFile};
use crate::ident::NodeName;
use crate::manifest::{Manifest, Master};
use crate::paths::Paths;
use crate::plan::Part;
use crate::status::Volume;
use crate::trust::Verified;
use crate::{etcd, network, pki, vrrp};
use serde::Serialize;
use std::fmt;

/// What the manifest in force asks of this host.
#[derive(Debug, Clone)]
pub struct Desired {
    manifest: Verified<Manifest>,
    me: Master,
    paths: Paths,
}

impl Desired {
    /// What `manifest` asks of the master named `me`; none when it names no such master.
    pub fn new(manifest: Verified<Manifest>, me: &NodeName, paths: Paths) -> Option<Self> {
        let me = manifest.get().master(me)?.clone();
        Some(Self { manifest, me, paths })
    }

    /// What `manifest` asks of `me`, who was one of its cluster's masters and is named by it no more: to leave.
    pub fn leaving(manifest: Verified<Manifest>, me: Master, paths: Paths) -> Self {
        Self { manifest, me, paths }
    }

    /// Whether the manifest names this host no more.
    pub fn is_leaving(&self) -> bool {
        self.etcd().is_leaving()
    }

    /// The manifest in force.
    pub fn manifest(&self) -> &Manifest {
        self.manifest.get()
    }

    /// This host, as the manifest describes it, or as an earlier one did.
    pub fn me(&self) -> &Master {
        &self.me
    }

    /// Where everything lies on this host.
    pub fn paths(&self) -> &Paths {
        &self.paths
    }

    /// For keys and certificates.
    pub fn pki(&self) -> pki::Desired {
        pki::Desired::new(self.manifest(), &self.me)
    }

    /// For the virtual router, on the link that was found for it.
    pub fn vrrp(&self, link: &str) -> vrrp::Desired {
        let content = vrrp::config::Config::for_master(self.manifest(), &self.me, link).render();
        // Owned by root and readable by all: it holds no secret, and `quorate-vrrpd --check` is for everybody.
        let config = RenderedFile { path: self.paths.vrrpd_config(), mode: 0o644, owner: Owner::Root, content };
        vrrp::Desired { config }
    }

    /// For the etcd member.
    pub fn etcd(&self) -> etcd::Desired {
        etcd::Desired::new(self.manifest(), &self.me)
    }

    /// For the network.
    pub fn network(&self) -> network::Desired {
        network::Desired::new(self.manifest(), &self.me)
    }
}

/// What was seen in one look.
#[derive(Debug, Clone)]
pub struct Observed {
    /// Keys and certificates.
    pub pki: pki::Observed,
    /// Links and addresses.
    pub network: network::Observed,
    /// The VRRP daemon.
    pub vrrp: vrrp::Observed,
    /// The etcd member.
    pub etcd: etcd::Observed,
    /// Every member of the cluster; no plan rests on it, status shows it.
    pub cluster: etcd::summary::Summary,
    /// The file systems that are written to; no plan rests on them, status names one that is full.
    pub storage: Vec<Volume>,
}

/// One action of any subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// On keys and certificates.
    Pki(pki::Action),
    /// On the virtual router.
    Vrrp(vrrp::Action),
    /// On the etcd member.
    Etcd(etcd::Action),
}

impl Action {
    /// The part of the host it belongs to.
    pub fn part(&self) -> Part {
        match self {
            Action::Pki(_) => Part::Pki,
            Action::Vrrp(_) => Part::Vrrp,
            Action::Etcd(_) => Part::Etcd,
        }
    }

    /// The fields of the manifest that ask for it.
    pub fn field(&self) -> &'static str {
        use etcd::Action as E;
        match self {
            Action::Pki(_) => "spec.masters",
            Action::Vrrp(vrrp::Action::WriteConfig(_)) => "spec.vip, spec.vrrp, spec.health",
            Action::Vrrp(vrrp::Action::Unit(_)) => "spec.vip",
            Action::Etcd(E::Recovery(_)) => "spec.etcd.recovery",
            Action::Etcd(
                E::AddLearner { .. } | E::RemoveMember { .. } | E::EvictLearner { .. } | E::Promote { .. },
            ) => "spec.masters",
            Action::Etcd(
                E::FormCluster { .. }
                | E::AwaitFormation
                | E::WriteMarker { .. }
                | E::Render { .. }
                | E::ArchiveData { .. }
                | E::RecordFormed { .. }
                | E::Unit(_),
            ) => "spec.etcd",
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Pki(action) => action.fmt(f),
            Action::Vrrp(action) => action.fmt(f),
            Action::Etcd(action) => action.fmt(f),
        }
    }
}
