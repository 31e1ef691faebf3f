//! Medians and their company.

/// What many runs of one measurement say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    pub median: f64,
    pub p90: f64,
    pub max: f64,
    pub runs: usize,
}

impl Summary {
    /// Nothing if there is no sample.
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let max = *samples.last()?;
        let middle = samples.len() / 2;
        let median =
            if samples.len() % 2 == 1 { samples[middle] } else { f64::midpoint(samples[middle - 1], samples[middle]) };
        // Nearest rank: the smallest sample that at least nine of ten do not exceed.
        let p90 = samples[(samples.len() * 9).div_ceil(10) - 1];
        Some(Self { median, p90, max, runs: samples.len() })
    }
}
