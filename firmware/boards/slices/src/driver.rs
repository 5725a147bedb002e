//! The runtime's side of a slice.

use alloc::sync::Arc;
use core::num::NonZeroU32;
use core::time::Duration;

use wasmbed_runtime::{Counts, Driver};

use crate::clock::Clock;
use crate::cortex_m::{begin_hold, end_hold, suspend};
use crate::shared::Shared;

/// What must be left of a stack, in bytes, when the interpreter starts and whenever it calls a host function: for that. The interpreter
/// refuses to go on with less, so that a stack which is too small ends the application before a held host function runs into
/// the guard, where it would be the device's fault. Measured, an application with its loader and its host functions uses 2 KiB in all.
pub(crate) const HOST_FUNCTION_STACK: usize = 1536;

/// Runs on the application's stack.
pub(crate) struct Slices<C: Clock + 'static> {
    pub(crate) clock: &'static C,
    pub(crate) shared: Arc<Shared>,
    pub(crate) stack_start: usize,
}

impl<C: Clock> Driver for Slices<C> {
    fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    fn checkpoint(&mut self) -> Option<NonZeroU32> {
        // There are none: PendSV takes the processor anywhere.
        Some(NonZeroU32::MAX)
    }

    fn allow_turns(&mut self, allowed: bool) {
        if allowed {
            end_hold();
        } else {
            begin_hold();
        }
    }

    fn stack_end(&self) -> usize {
        self.stack_start + HOST_FUNCTION_STACK
    }

    fn sleep(&mut self, time: Duration) -> bool {
        let ticks = ticks(time, self.clock.ticks_per_second());
        let until = self.clock.ticks().saturating_add(ticks);
        loop {
            if self.shared.is_stopping() {
                return false;
            }
            // At least once: a sleep of nothing is how a program makes way.
            suspend(Some(until));
            if self.clock.ticks() >= until {
                return !self.shared.is_stopping();
            }
        }
    }

    fn cpu(&mut self) -> Duration {
        let now = self.clock.ticks().saturating_sub(self.shared.began.get());
        duration(self.shared.used.get() + now, self.clock.ticks_per_second())
    }

    fn count(&mut self, counts: Counts) {
        self.shared.set_counts(counts);
    }
}

/// A time in ticks, rounded up.
fn ticks(time: Duration, per_second: u32) -> u64 {
    let ticks = time.as_nanos().saturating_mul(u128::from(per_second)).div_ceil(1_000_000_000);
    u64::try_from(ticks).unwrap_or(u64::MAX)
}

/// Ticks as a time.
pub(crate) fn duration(ticks: u64, per_second: u32) -> Duration {
    let per_second = u64::from(per_second.max(1));
    let nanoseconds = ticks % per_second * 1_000_000_000 / per_second;
    Duration::new(ticks / per_second, u32::try_from(nanoseconds).unwrap_or_default())
}
