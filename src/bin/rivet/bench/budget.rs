//! The time of a run: what it may take, and what its parts took.

use serde::{Deserialize, Serialize};
use std::fs;
use std::time::{Duration, Instant};

/// A tick of the clock in `/proc/PID/stat`: Linux counts hundredths of a second there, whatever its
/// own clock does.
const TICK: Duration = Duration::from_millis(10);

/// Time that a part of the run took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spent {
    pub(crate) what: String,
    /// Seconds by the clock.
    pub(crate) wall: f64,
    /// Seconds on all cores, of this process and of those it started.
    pub(crate) cpu: f64,
}

/// What is left of the time that a run may take. It begins when it is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    begin: Instant,
    limit: Duration,
}

impl Budget {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            begin: Instant::now(),
            limit,
        }
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    /// Zero once it is used up.
    pub(crate) fn left(&self) -> Duration {
        self.limit.saturating_sub(self.begin.elapsed())
    }
}

/// A part of the run that has begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    begin: Instant,
    cpu: Duration,
}

impl Part {
    /// Begins now; `children` are the processes that are up, besides this one.
    pub(crate) fn begin(children: &[u32]) -> Self {
        Self {
            begin: Instant::now(),
            cpu: cpu(children),
        }
    }

    /// What it took until now, with the processes that are up now.
    pub(crate) fn end(self, what: &str, children: &[u32]) -> Spent {
        Spent {
            what: what.to_owned(),
            wall: self.begin.elapsed().as_secs_f64(),
            cpu: cpu(children).saturating_sub(self.cpu).as_secs_f64(),
        }
    }
}

/// Time of this process, of all it waited for, and of its children that are up.
fn cpu(children: &[u32]) -> Duration {
    let children = children.iter().map(|pid| cpu_of(&pid.to_string()));
    cpu_of("self") + children.sum::<Duration>()
}

/// Time of a process and of all that it waited for; zero where the system does not tell.
fn cpu_of(pid: &str) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    TICK.saturating_mul(ticks(&stat))
}

/// Fields 14 to 17 of `stat`, added up. The second field is a name in brackets that may hold
/// anything.
fn ticks(stat: &str) -> u32 {
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let times = fields.split_whitespace().skip(11).take(4);
    times.filter_map(|time| time.parse::<u32>().ok()).sum()
}

/// A time with its unit: `90s`, `20m`, `2h`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time; write it as 90s, 20m or 2h");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        _ => return Err(wrong()),
    };
    let count: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let seconds = count.checked_mul(unit).filter(|s| (1..=86_400).contains(s));
    let seconds = seconds.ok_or(format!("`{text}` is not between 1s and 24h"))?;
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_bounds() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("20m"), Ok(Duration::from_secs(1200)));
        assert_eq!(duration("24h"), Ok(Duration::from_secs(86_400)));
        for text in [
            "",
            "m",
            "20",
            "-1s",
            "1.5m",
            "0s",
            "25h",
            "20é",
            "99999999999999999999h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn processor_time_is_that_of_a_process_and_of_those_it_waited_for() {
        let stat = "7 (a name) with 9 9) S 1 7 7 0 -1 0 1 2 3 4 100 20 3 4000 20 0 1 0 5";
        assert_eq!(ticks(stat), 4123);
        assert_eq!(ticks(""), 0);
    }
}
