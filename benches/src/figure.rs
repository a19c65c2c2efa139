//! A measured figure beside what is aimed at.

use std::fmt;
use std::time::{Duration, Instant};

/// One figure. Less is better for all of them.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// Unit of the value and of the goal; empty for ratios.
    pub unit: &'static str,
    /// What it is.
    pub value: f64,
    /// What it should not exceed; nothing if it is there to be known.
    pub goal: Option<f64>,
}

impl Figure {
    /// A figure with a goal.
    pub fn new(name: impl Into<String>, unit: &'static str, value: f64, goal: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            goal: Some(goal),
        }
    }

    /// A figure without a goal.
    pub fn known(name: impl Into<String>, unit: &'static str, value: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            value,
            goal: None,
        }
    }

    /// `ok`, `MISS`, or nothing without a goal. What could not be measured is a miss.
    pub fn verdict(&self) -> &'static str {
        match self.goal {
            None => "",
            Some(goal) if self.value <= goal => "ok",
            Some(_) => "MISS",
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let goal = self.goal.map(|goal| goal.to_string()).unwrap_or_default();
        let value = match self.value {
            value if value >= 1000.0 => format!("{value:.0}"),
            value if value >= 20.0 => format!("{value:.1}"),
            value => format!("{value:.3}"),
        };
        let (name, unit, verdict) = (&self.name, self.unit, self.verdict());
        let line = format!("{name:<66} {value:>9} {unit:<20} {goal:>6} {verdict}");
        f.write_str(line.trim_end())
    }
}

/// Nanoseconds of the fastest of `rounds` calls: what the code costs, and not what else the machine
/// was doing.
pub fn fastest<T>(rounds: u32, mut work: impl FnMut() -> T) -> f64 {
    let times = (0..rounds).map(|_| timed(&mut work));
    times.min().unwrap_or_default().as_nanos() as f64
}

/// Time of the work.
pub fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let begin = Instant::now();
    let made = std::hint::black_box(work());
    let time = begin.elapsed();
    drop(made);
    time
}

/// Time of this thread on a core in long work, which rarely has a core to itself from its beginning
/// to its end.
pub fn spent<T>(work: impl FnOnce() -> T) -> Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::try_from(time).unwrap_or_default()
    };
    let begin = now();
    let made = std::hint::black_box(work());
    let time = now().saturating_sub(begin);
    drop(made);
    time
}

/// Nanoseconds of the fastest of `rounds` long pieces of work.
pub fn least_spent<T>(rounds: u32, mut work: impl FnMut() -> T) -> f64 {
    let times = (0..rounds).map(|_| spent(&mut work));
    times.min().unwrap_or_default().as_nanos() as f64
}

/// The geometric mean; not a number for no ratios.
pub fn geomean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_above_its_goal_or_not_there_is_a_miss() {
        assert_eq!(Figure::new("a", "ns", 15.0, 15.0).verdict(), "ok");
        assert_eq!(Figure::new("a", "ns", 15.1, 15.0).verdict(), "MISS");
        assert_eq!(Figure::new("a", "ns", f64::NAN, 15.0).verdict(), "MISS");
        assert_eq!(Figure::known("a", "ns", 1.0).verdict(), "");
        assert!((geomean(&[0.5, 2.0, 8.0]) - 2.0).abs() < 1e-12);
        assert!(geomean(&[]).is_nan());
    }
}
