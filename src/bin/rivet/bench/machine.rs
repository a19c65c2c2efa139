//! The machine that a run took place on: what to print, and what must be equal to compare runs.

use serde::{Deserialize, Serialize};
use std::fs;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

/// A machine. Two runs compare only if all of this is equal.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) architecture: String,
    /// Name, family, model and stepping as the system reports them.
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory_gib: u64,
    /// System and version of the kernel.
    pub(crate) kernel: String,
    /// `bare` or the name of what virtualises.
    pub(crate) virtualisation: String,
}

impl Machine {
    /// The machine at hand.
    pub(crate) fn here() -> Self {
        let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = info.lines().find(|line| line.trim_end().starts_with(name));
            let value = line.and_then(|line| line.split_once(':'));
            value.map_or("unknown", |(_, value)| value.trim())
        };
        let processor = format!(
            "{}, family {} model {} stepping {}",
            field("model name"),
            field("cpu family"),
            field("model\t"),
            field("stepping")
        );
        let virtual_machine = info.contains(" hypervisor");
        Self {
            architecture: std::env::consts::ARCH.to_owned(),
            processor,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_gib(),
            kernel: said("uname", &["-sr"]),
            virtualisation: if virtual_machine { "virtual" } else { "bare" }.to_owned(),
        }
    }

    /// The fields by name, as texts.
    pub(crate) fn fields(&self) -> [(&'static str, String); 6] {
        [
            ("architecture", self.architecture.clone()),
            ("processor", self.processor.clone()),
            ("cores", self.cores.to_string()),
            ("memory in GiB", self.memory_gib.to_string()),
            ("kernel", self.kernel.clone()),
            ("virtualisation", self.virtualisation.clone()),
        ]
    }

    /// One line for headlines.
    pub(crate) fn summary(&self) -> String {
        format!(
            "{}, {} cores, {} GiB, {}, {}",
            self.processor, self.cores, self.memory_gib, self.kernel, self.virtualisation
        )
    }

    /// What differs: field, here, there.
    pub(crate) fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let pairs = self.fields().into_iter().zip(other.fields());
        pairs
            .filter(|(mine, theirs)| mine.1 != theirs.1)
            .map(|(mine, theirs)| (mine.0, mine.1, theirs.1))
            .collect()
    }
}

fn memory_gib() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = info.lines().find(|line| line.starts_with("MemTotal:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    let kib: u64 = kib.and_then(|kib| kib.parse().ok()).unwrap_or(0);
    (kib + (1 << 19)) >> 20
}

/// The first line a tool prints.
fn said(tool: &str, args: &[&str]) -> String {
    let output = Command::new(tool).args(args).output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().unwrap_or("unknown").to_owned()
}

/// The average number of runnable processes over the last minute: a busy machine measures badly.
pub(crate) fn load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    text.split(' ').next()?.parse().ok()
}

/// Today in UTC, as `2026-11-21`.
pub(crate) fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
    date_of(seconds.map_or(0, |time| time.as_secs() / 86_400))
}

/// The date of a day counted from 1970-01-01.
fn date_of(day: u64) -> String {
    // Years begin in March here, so that the leap day is the last day of its year.
    let day = day + 719_468;
    let (era, day) = (day / 146_097, day % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 {
        (era * 400 + year, month + 3)
    } else {
        (era * 400 + year + 1, month - 9)
    };
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_dates() {
        let dates = [
            (0, "1970-01-01"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (20_778, "2026-11-21"),
        ];
        for (day, date) in dates {
            assert_eq!(date_of(day), date);
        }
    }
}
