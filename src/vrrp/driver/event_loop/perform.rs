//! What a machine says is done: sent here, and handed to the threads that may wait.

use super::Loop;
use crate::vrrp::keeper::{Errand, Task};
use crate::vrrp::lease::Claim;
use crate::vrrp::machine::Action;
use crate::vrrp::scribe::Note;
use crate::vrrp::socket;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::TrySendError;

impl Loop {
    /// Does what a machine says, and tells the scribe if the router stands differently now.
    pub(super) fn perform(&mut self, at: usize) {
        while let Some(action) = self.routers[at].machine.poll_action() {
            match action {
                Action::SendAdvert { priority } => {
                    let sources = self.routers[at].machine.sources();
                    self.routers[at].send(&self.links, sources, priority);
                }
                Action::InstallVip | Action::RenewVip => {
                    let lifetime = self.routers[at].config.lifetime(self.fence);
                    // An advertisement that did not leave gives no right to keep the address.
                    if action == Action::InstallVip || self.routers[at].sent_last {
                        self.errand(at, Arc::clone(&self.routers[at].addresses), Task::Install { lifetime });
                    }
                }
                Action::RemoveVip => self.let_go(at, Arc::clone(&self.routers[at].addresses)),
                Action::Announce => self.errand(at, Arc::clone(&self.routers[at].addresses), Task::Announce),
                Action::ExtendLease { until } => {
                    if self.routers[at].sent_last {
                        self.claim(Claim::Hold { addresses: Arc::clone(&self.routers[at].addresses), until });
                    }
                }
                Action::Moved { from, to, why } => self.notes.tell(Note::Moved { router: at, from, to, why }),
                Action::Remark(remark) => {
                    let source = self.routers[at].machine.active();
                    if let Ok(now) = socket::now() {
                        self.remark(at, remark, source, now);
                    }
                }
            }
        }
        if let Some(standing) = self.routers[at].news() {
            self.notes.tell(Note::Stands { router: at, standing });
        }
    }

    /// Ends the lease, which takes effect at once, and takes the addresses off.
    pub(super) fn let_go(&self, at: usize, addresses: Arc<[IpAddr]>) {
        self.claim(Claim::Drop(Arc::clone(&addresses)));
        self.errand(at, addresses, Task::Remove);
    }

    /// A claim that finds no room is one that the kernel is not keeping up with; the lease runs out then, as it should.
    pub(super) fn claim(&self, claim: Claim) {
        let _ = self.claims.try_send(claim);
    }

    fn errand(&self, at: usize, addresses: Arc<[IpAddr]>, task: Task) {
        let router = &self.routers[at];
        let Some(place) = router.place else { return };
        let errand = Errand { vrid: router.config.vrid, place, addresses, task };
        if let Err(TrySendError::Full(errand)) = self.errands.try_send(errand) {
            let Errand { vrid, task, .. } = errand;
            self.notes.tell(Note::Warning(format!("virtual router {vrid}: too much is waiting to do {task:?}")));
        }
    }
}
