//! How often the host's signal handling is looked at.

/// When a run makes sure that the faults of its guest will arrive: that the thread blocks none of
/// SIGSEGV, SIGBUS and SIGFPE, and that the handler of this library is the current one. Looking
/// takes two system calls. Results do not depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default)]
pub enum SignalCheck {
    /// On every entry: a signal that the host has blocked since the last run is an error that names
    /// it, and a handler that took the place of this library's is put behind it.
    #[default]
    EveryEntry,
    /// On the first entry of each thread. For hosts that, from then on, neither block these signals
    /// on a thread that runs guests nor replace their handlers. Where that is not kept, a page fault
    /// of a guest, or the first write of a page, goes to the other handler or ends the process.
    FirstEntry,
}
