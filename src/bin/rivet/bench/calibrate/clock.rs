//! Time that this thread spent on a core: what others did meanwhile does not count.

use std::time::Duration;

/// A point in time of this thread's work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Duration);

impl Clock {
    /// Now.
    pub(crate) fn now() -> Self {
        Self(spent())
    }

    /// Work since then.
    pub(crate) fn elapsed(self) -> Duration {
        spent().saturating_sub(self.0)
    }
}

#[cfg(target_os = "linux")]
fn spent() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Time on the wall, since no year in particular.
#[cfg(not(target_os = "linux"))]
fn spent() -> Duration {
    use std::sync::OnceLock;
    use std::time::Instant;
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
