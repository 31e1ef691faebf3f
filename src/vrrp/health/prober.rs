//! The threads that probe, one per probe, so that a target that hangs delays no other. They tell the loop only when the
//! verdict over all of them changes.

use super::probe::attempt;
use super::{Panel, Verdict};
use crate::vrrp::config::Probe;
use crate::vrrp::fact::{Fact, Mailbox};
use crate::vrrp::socket;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, sleep};
use std::time::{Duration, Instant};

/// A TLS handshake needs more room than the other threads do.
const STACK: usize = 512 * 1024;

/// All probing of the daemon.
#[derive(Debug, Clone)]
pub struct Prober {
    mailbox: Mailbox,
    panel: Arc<Mutex<Panel>>,
    /// A thread of an older configuration ends at its next turn.
    generation: Arc<AtomicU64>,
}

impl Prober {
    /// Probes nothing yet.
    pub fn new(mailbox: Mailbox) -> Self {
        Self { mailbox, panel: Arc::default(), generation: Arc::default() }
    }

    /// Probes these from now on, and returns the verdict to begin with. Probes that stay keep what they have shown.
    ///
    /// # Errors
    /// When a thread cannot be started; the probe then stays unhealthy.
    pub fn follow(&self, probes: &[Probe]) -> (Verdict, io::Result<()>) {
        let generation = self.generation.fetch_add(1, Ordering::SeqCst) + 1;
        let verdict = {
            let mut panel = self.panel.lock().unwrap_or_else(PoisonError::into_inner);
            panel.reconfigure(probes);
            self.tell(&panel);
            panel.verdict()
        };
        let mut started = Ok(());
        for probe in probes {
            let (prober, probe) = (self.clone(), probe.clone());
            let work = move || prober.run(&probe, generation);
            started = started.and(Builder::new().name("prober".into()).stack_size(STACK).spawn(work).map(|_| ()));
        }
        (verdict, started)
    }

    #[expect(clippy::disallowed_methods, reason = "a driver: it paces attempts by the clock")]
    fn run(&self, probe: &Probe, generation: u64) {
        // Refused only where real-time scheduling is not in force anyway.
        let _ = socket::yield_to_the_loop();
        let interval = Duration::from_millis(u64::from(probe.interval_ms));
        while self.generation.load(Ordering::SeqCst) == generation {
            let start = Instant::now();
            let outcome = attempt(&probe.target, interval);
            {
                let mut panel = self.panel.lock().unwrap_or_else(PoisonError::into_inner);
                let before = (panel.verdict(), panel.complaints());
                panel.record(probe, outcome);
                if (panel.verdict(), panel.complaints()) != before {
                    self.tell(&panel);
                }
            }
            sleep(interval.saturating_sub(start.elapsed()));
        }
    }

    fn tell(&self, panel: &Panel) {
        self.mailbox.tell(Fact::Health { verdict: panel.verdict(), complaints: panel.complaints() });
    }
}
