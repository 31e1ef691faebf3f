//! Whether this master is fit to hold the VIP: what probes found, counted with thresholds for falling and rising.
//!
//! A failing probe lowers the priority and nothing more: a healthier master takes over, and where every master fails the VIP stays
//! somewhere, since a health check that takes it down everywhere makes an outage of a hiccup. A probe that has not
//! succeeded yet counts as failing: health is shown, not assumed, and a master that has just started has shown nothing.
//!
//! This file counts; [`target`] reads what is to be asked, [`probe`] asks, [`prober`] paces it.

pub mod probe;
pub mod prober;
pub mod target;

use super::config::Probe;

/// What one attempt showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The target answered as it should.
    Passed,
    /// It did not, and why.
    Failed(String),
}

/// What a probe says after its thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Enough attempts in a row passed.
    Healthy,
    /// Too many in a row failed, or too few have passed yet.
    Unhealthy,
}

/// One probe and its count.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Gauge {
    probe: Probe,
    verdict: Verdict,
    /// Outcomes in a row that contradict the verdict.
    contradicting: u8,
    /// The last failure.
    complaint: String,
}

/// All probes of this master.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Panel {
    gauges: Vec<Gauge>,
}

impl Panel {
    /// The probes from now on; one that was there before keeps its count.
    pub fn reconfigure(&mut self, probes: &[Probe]) {
        let old = std::mem::take(&mut self.gauges);
        self.gauges = probes
            .iter()
            .map(|probe| {
                old.iter().find(|gauge| gauge.probe == *probe).cloned().unwrap_or_else(|| Gauge {
                    probe: probe.clone(),
                    verdict: Verdict::Unhealthy,
                    contradicting: 0,
                    complaint: "it has not succeeded yet".into(),
                })
            })
            .collect();
    }

    /// Counts one outcome of `probe`; a probe that was configured away meanwhile counts for nothing.
    pub fn record(&mut self, probe: &Probe, outcome: Outcome) {
        let Some(gauge) = self.gauges.iter_mut().find(|gauge| gauge.probe == *probe) else { return };
        let shown = match outcome {
            Outcome::Passed => Verdict::Healthy,
            Outcome::Failed(why) => {
                gauge.complaint = why;
                Verdict::Unhealthy
            }
        };
        if shown == gauge.verdict {
            gauge.contradicting = 0;
            return;
        }
        gauge.contradicting = gauge.contradicting.saturating_add(1);
        let enough = match shown {
            Verdict::Healthy => gauge.probe.rise,
            Verdict::Unhealthy => gauge.probe.fall,
        };
        if gauge.contradicting >= enough {
            (gauge.verdict, gauge.contradicting) = (shown, 0);
        }
    }

    /// Healthy when every probe is.
    pub fn verdict(&self) -> Verdict {
        let healthy = self.gauges.iter().all(|gauge| gauge.verdict == Verdict::Healthy);
        if healthy { Verdict::Healthy } else { Verdict::Unhealthy }
    }

    /// What the unhealthy probes complain of.
    pub fn complaints(&self) -> Vec<String> {
        let unhealthy = self.gauges.iter().filter(|gauge| gauge.verdict == Verdict::Unhealthy);
        unhealthy.map(|gauge| format!("{}: {}", gauge.probe.target, gauge.complaint)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vrrp::config::Target;

    fn probe(port: u16) -> Probe {
        Probe { target: Target::Tcp(format!("127.0.0.1:{port}")), interval_ms: 100, fall: 3, rise: 2 }
    }

    /// Verdicts after each of a string of outcomes: `+` passed, `-` failed.
    fn verdicts(outcomes: &str) -> String {
        let mut panel = Panel::default();
        panel.reconfigure(&[probe(1)]);
        outcomes
            .chars()
            .map(|outcome| {
                let outcome = if outcome == '+' { Outcome::Passed } else { Outcome::Failed("refused".into()) };
                panel.record(&probe(1), outcome);
                if panel.verdict() == Verdict::Healthy { 'H' } else { 'u' }
            })
            .collect()
    }

    #[test]
    fn it_rises_after_two_and_falls_after_three_in_a_row() {
        assert_eq!(verdicts("++"), "uH");
        assert_eq!(verdicts("+-++"), "uuuH");
        assert_eq!(verdicts("++--+---"), "uHHHHHHu");
        assert_eq!(verdicts("++---+-++"), "uHHHuuuuH");
    }

    #[test]
    fn no_probe_is_healthy_and_one_unhealthy_probe_decides() {
        let mut panel = Panel::default();
        assert_eq!(panel.verdict(), Verdict::Healthy);
        panel.reconfigure(&[probe(1), probe(2)]);
        for _ in 0..2 {
            panel.record(&probe(1), Outcome::Passed);
        }
        assert_eq!(panel.verdict(), Verdict::Unhealthy);
        assert_eq!(panel.complaints(), ["tcp://127.0.0.1:2: it has not succeeded yet"]);
    }

    #[test]
    fn a_reload_keeps_the_count_of_a_probe_that_stays_and_forgets_one_that_goes() {
        let mut panel = Panel::default();
        panel.reconfigure(&[probe(1)]);
        for _ in 0..2 {
            panel.record(&probe(1), Outcome::Passed);
        }
        panel.reconfigure(&[probe(1)]);
        assert_eq!(panel.verdict(), Verdict::Healthy);
        panel.reconfigure(&[probe(2)]);
        panel.record(&probe(1), Outcome::Passed);
        assert_eq!(panel.verdict(), Verdict::Unhealthy);
    }
}
