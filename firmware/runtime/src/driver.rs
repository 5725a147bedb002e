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
