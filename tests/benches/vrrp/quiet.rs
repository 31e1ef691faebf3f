//! Labs that are built and taken down only while no failover is being watched.
//!
//! Linux changes the links and addresses of all network namespaces under one lock. Taking a namespace down holds it for up to 28 ms
//! (measured), in the background, after whoever had the namespace is gone; a successor in another lab waits that long for its
//! address. Elections are not touched by it: with labs coming and going, first advertisements stayed within 0.2 ms of their time while
//! announcements came up to 12 ms later.

use crate::wire::Lab;
use std::ops::Deref;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::thread::sleep;
use std::time::Duration;

/// Held by watchers together, by a builder alone.
static PEACE: RwLock<()> = RwLock::new(());
/// The kernel begins to take a namespace down some milliseconds after its last user is gone, and was through within 50.
const TAKEDOWN: Duration = Duration::from_millis(200);

/// A lab whose coming and going disturbs nobody who watches.
#[derive(Debug)]
pub struct QuietLab(Option<Lab>);

impl QuietLab {
    pub fn new(hosts: u8) -> Self {
        let _alone = PEACE.write().unwrap_or_else(PoisonError::into_inner);
        Self(Some(Lab::new(hosts)))
    }
}

impl Deref for QuietLab {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        self.0.as_ref().unwrap()
    }
}

impl Drop for QuietLab {
    fn drop(&mut self) {
        let _alone = PEACE.write().unwrap_or_else(PoisonError::into_inner);
        self.0 = None;
        sleep(TAKEDOWN);
    }
}

/// Until this is dropped no lab comes or goes. Ask for it before the moment of the fault is drawn: it may have to be waited for.
pub fn watch() -> RwLockReadGuard<'static, ()> {
    PEACE.read().unwrap_or_else(PoisonError::into_inner)
}
