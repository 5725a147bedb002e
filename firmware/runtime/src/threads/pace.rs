//! Holds an application to its share of the CPU, and counts what it uses.

use core::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::control::Control;
use crate::wamr::thread_cpu_ns;
use crate::{Counts, Driver};

/// Branches and calls between two checkpoints, at most: some microseconds of an ordinary program.
const BRANCHES: NonZeroU32 = NonZeroU32::new(1024).expect("it is not 0");
/// How often the clocks are read, at most: reading a thread's CPU clock costs a system call.
const LOOK: Duration = Duration::from_millis(1);
/// The most an application that waited may use at once: its share of this time.
const BURST: Duration = Duration::from_millis(100);
const SHARE_OF: i64 = 1000;

/// The CPU account of one application, kept on its own thread.
#[derive(Debug)]
pub(crate) struct Pace {
    control: Arc<Control>,
    /// Of 1000.
    share: i64,
    /// CPU time it may use before it is held back, in nanoseconds; below 0 it is.
    credit: i64,
    seen_at: Instant,
    cpu_at_start: u64,
    cpu_seen: u64,
    branches: NonZeroU32,
}

impl Pace {
    /// Starts the account of the calling thread.
    pub(crate) fn new(cpu_ms_per_s: u32, control: Arc<Control>) -> Self {
        let cpu = thread_cpu_ns();
        Self {
            control,
            share: i64::from(cpu_ms_per_s),
            credit: 0,
            seen_at: Instant::now(),
            cpu_at_start: cpu,
            cpu_seen: cpu,
            branches: BRANCHES,
        }
    }

    /// Brings the account up to now.
    fn settle(&mut self) {
        let now = Instant::now();
        let cpu = thread_cpu_ns();
        let passed = i64::try_from((now - self.seen_at).as_nanos()).unwrap_or(i64::MAX);
        let used = i64::try_from(cpu - self.cpu_seen).unwrap_or(i64::MAX);
        let burst = i64::try_from(BURST.as_nanos()).unwrap_or(i64::MAX) / SHARE_OF * self.share;
        let earned = passed / SHARE_OF * self.share;
        self.credit = self.credit.saturating_add(earned).saturating_sub(used).min(burst);
        self.seen_at = now;
        self.cpu_seen = cpu;
        self.control.set_cpu(cpu - self.cpu_at_start);
    }
}

impl Driver for Pace {
    fn is_stopping(&self) -> bool {
        self.control.is_stopping()
    }

    fn checkpoint(&mut self) -> Option<NonZeroU32> {
        if self.control.is_stopping() {
            return None;
        }
        let since = self.seen_at.elapsed();
        if since >= LOOK {
            self.settle();
            if self.share < SHARE_OF && self.credit < 0 {
                let wait = self.credit.unsigned_abs() * SHARE_OF.unsigned_abs() / self.share.unsigned_abs();
                self.control.count_held_back();
                if !self.control.sleep(Duration::from_nanos(wait)) {
                    return None;
                }
                self.settle();
            }
            self.branches = branches_after(self.branches, since);
        }
        Some(self.branches)
    }

    fn sleep(&mut self, time: Duration) -> bool {
        // So that the statistics are right meanwhile.
        self.settle();
        self.control.sleep(time)
    }

    fn cpu(&mut self) -> Duration {
        self.settle();
        self.control.stats().cpu
    }

    fn count(&mut self, counts: Counts) {
        self.control.set_counts(counts);
    }
}

impl Drop for Pace {
    /// On the application's thread, when it has ended.
    fn drop(&mut self) {
        self.settle();
    }
}

/// How many branches to go on for: fewer where long straight code or slow host functions lie between them, so that a checkpoint
/// is never many milliseconds away.
fn branches_after(branches: NonZeroU32, took: Duration) -> NonZeroU32 {
    let next = if took > 4 * LOOK { branches.get() / 8 } else { branches.get().saturating_mul(2) };
    NonZeroU32::new(next).map_or(NonZeroU32::MIN, |next| next.min(BRANCHES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_branches_are_watched_more_closely_and_fast_ones_less() {
        let slow = branches_after(BRANCHES, Duration::from_millis(50));
        assert_eq!(slow.get(), BRANCHES.get() / 8);
        assert_eq!(branches_after(NonZeroU32::MIN, Duration::from_secs(1)), NonZeroU32::MIN);
        assert_eq!(branches_after(slow, Duration::from_millis(1)).get(), BRANCHES.get() / 4);
        assert_eq!(branches_after(BRANCHES, Duration::from_millis(1)), BRANCHES);
    }
}
