//! What runs an application's stack.

use core::num::NonZeroU32;
use core::time::Duration;

/// Lends an application its processor: a thread on a host, slices that PendSV ends on a Cortex-M. Called on the application's own
/// stack.
pub trait Driver: Send {
    /// Whether the application is to end.
    fn is_stopping(&self) -> bool;

    /// At a checkpoint: holds the application back while it is over its CPU share. Returns after how many branches and calls
    /// to come again, or `None` if it is to end. A platform that preempts has no checkpoints, and is never asked.
    fn checkpoint(&mut self) -> Option<NonZeroU32>;

    /// Whether the processor may be taken from the application, or the application be given up, from now on. It may not to begin
    /// with; it may while the module is loaded and while the interpreter runs, and not in a host function. A platform whose
    /// applications have threads has no use for this.
    fn allow_turns(&mut self, allowed: bool) {
        let _ = allowed;
    }

    /// The lowest address that the native stack may have come down to when the interpreter starts, so that it and the host functions
    /// have enough of it; 0 if that need not be checked.
    fn stack_end(&self) -> usize {
        0
    }

    /// Sleeps, but no longer than until the application is to end. Whether the time has passed.
    fn sleep(&mut self, time: Duration) -> bool;

    /// CPU time the application has used.
    fn cpu(&mut self) -> Duration;

    /// What the application has sent and what was dropped, after a change.
    fn count(&mut self, counts: Counts);
}

/// What an application has sent, and what was dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Log lines dropped.
    pub log_lines_dropped: u64,
    /// Messages published.
    pub published: u64,
    /// Messages refused.
    pub publish_refused: u64,
}
