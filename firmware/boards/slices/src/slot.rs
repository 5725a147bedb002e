//! One application: its stack, its arena, its account.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::Ordering;

use wasmbed_runtime::{Application, Budget, Host, Outcome, StartError, Stats, Task};

use crate::clock::Clock;
use crate::coroutine::{Coroutine, Fault, SliceEnd};
use crate::cortex_m::is_wanted;
use crate::driver::{Slices, duration};
use crate::pace::Pace;
use crate::shared::Shared;
use crate::stack::{Layout, StackTooSmall};

/// How often in a row the device may have something better to do.
const MOST_SKIPS: u8 = 16;
/// How often an application that is to stop is resumed to end what it waits for.
const MOST_ENDINGS: usize = 4;

/// Why there is no application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failed {
    /// Its limits are out of range.
    Start(StartError),
    /// Its stack is too small.
    Stack(StackTooSmall),
    /// Its budget has no arena, which it could not be given up without.
    NoArena,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(error) => error.fmt(f),
            Self::Stack(error) => error.fmt(f),
            Self::NoArena => f.write_str("an application needs an arena: make its budget with Budget::in_arena"),
        }
    }
}

impl core::error::Error for Failed {}

/// An application that runs in slices. Dropping it ends it.
pub struct Slot<C: Clock + 'static> {
    coroutine: Coroutine<Task>,
    clock: &'static C,
    shared: Arc<Shared>,
    budget: Arc<Budget>,
    pace: Pace,
    /// How often it was over its share when its turn came.
    held_back: u64,
    skipped: u8,
    outcome: Option<Outcome>,
}

impl<C: Clock> fmt::Debug for Slot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("coroutine", &self.coroutine)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl<C: Clock> Slot<C> {
    /// An application that is loaded and run by [`Slot::resume`]. `stack` is for the interpreter and `host`: 4 KiB, and what
    /// `host` needs beyond 1 KiB. `host` is called on that stack, held: it returns soon, or waits by [`crate::suspend`].
    ///
    /// # Errors
    /// The limits are out of range, or what it is given does not do.
    pub fn new<M: AsMut<[u8]> + Send + 'static>(
        application: &Application<'static>,
        budget: Arc<Budget>,
        host: Box<dyn Host>,
        stack: M,
        clock: &'static C,
    ) -> Result<Self, Failed> {
        if !budget.has_arena() {
            return Err(Failed::NoArena);
        }
        // Boxed, so that it does not move any more and its place is known now.
        let mut stack: Box<M> = Box::new(stack);
        let range = (*stack).as_mut().as_mut_ptr_range();
        let layout = Layout::of(range.start.addr()..range.end.addr()).map_err(Failed::Stack)?;
        let shared = Arc::<Shared>::default();
        let driver = Slices { clock, shared: Arc::clone(&shared), stack_start: layout.stack.start };
        let task = Task::new(application, Arc::clone(&budget), host, Box::new(driver)).map_err(Failed::Start)?;
        let coroutine = Coroutine::new(Lent(stack), task).map_err(Failed::Stack)?;
        let pace = Pace::new(application.limits.cpu_ms_per_s, clock.ticks_per_second(), clock.ticks());
        Ok(Self { coroutine, clock, shared, budget, pace, held_back: 0, skipped: 0, outcome: None })
    }

    /// Lends it the processor for at most so many cycles of the core, 16,777,215 at most. To be called on the device's stack, in thread
    /// mode, with interrupts enabled.
    ///
    /// One that is over its share of the processor is `Waiting` until it is not. While the device has something to do
    /// ([`crate::end_slice`] since [`crate::begin_pass`]) it is `Preempted` before it begins, but for every sixteenth time: so the
    /// device goes first, and no application starves.
    pub fn resume(&mut self, cycles: u32) -> SliceEnd {
        if self.outcome.is_some() {
            return SliceEnd::Finished;
        }
        let stopping = self.shared.is_stopping();
        if stopping && !self.coroutine.is_waiting() {
            return self.give_up(Outcome::Stopped);
        }
        if !stopping {
            let now = self.clock.ticks();
            if let Some(until) = self.pace.held_until(now) {
                self.held_back += 1;
                return SliceEnd::Waiting { until: Some(until) };
            }
            if is_wanted() && self.skipped < MOST_SKIPS {
                self.skipped += 1;
                return SliceEnd::Preempted;
            }
        }
        self.skipped = 0;
        let began = self.clock.ticks();
        self.shared.began.set(began);
        let end = self.coroutine.resume_charged(cycles);
        let now = self.clock.ticks();
        let used = now.saturating_sub(began);
        self.shared.used.set(self.shared.used.get() + used);
        self.pace.used(used, now);
        match end {
            SliceEnd::Finished => self.ended(),
            end => end,
        }
    }

    fn ended(&mut self) -> SliceEnd {
        let fault = self.coroutine.ended_by();
        let own = self.coroutine.work().and_then(|task| task.outcome().cloned());
        match (own, fault) {
            // So that its memory is accounted as free.
            (Some(outcome), _) => self.give_up(outcome),
            (None, Some(fault @ Fault::StackOverflow)) => {
                self.give_up(Outcome::Trapped { reason: format!("the device's side of it {fault}") })
            }
            (None, Some(fault)) => self.give_up(Outcome::Trapped { reason: format!("{fault}") }),
            (None, None) => self.give_up(Outcome::Stopped),
        }
    }

    fn give_up(&mut self, outcome: Outcome) -> SliceEnd {
        self.coroutine.give_up();
        if let Some(task) = self.coroutine.work() {
            task.give_up(outcome);
            self.outcome = task.outcome().cloned();
        }
        SliceEnd::Finished
    }

    /// Asks it to end, and returns at once: the next [`Slot::resume`] ends it, be it in an endless loop, held back or asleep.
    pub fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// How it ended, if it has.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// What it has used so far.
    pub fn stats(&self) -> Stats {
        let counts = self.shared.counts();
        Stats {
            cpu: duration(self.shared.used.get(), self.clock.ticks_per_second()),
            memory: self.budget.used(),
            memory_peak: self.budget.peak(),
            held_back: self.held_back,
            log_lines_dropped: counts.log_lines_dropped,
            published: counts.published,
            publish_refused: counts.publish_refused,
        }
    }

    /// The most bytes of its native stack that were ever in use.
    pub fn stack_used(&self) -> usize {
        self.coroutine.stack_used()
    }
}

impl<C: Clock> Drop for Slot<C> {
    fn drop(&mut self) {
        self.stop();
        // What waits in a host function is let out of it, as its frames may own something.
        for _ in 0..MOST_ENDINGS {
            if self.resume(u32::MAX) == SliceEnd::Finished {
                return;
            }
        }
        self.give_up(Outcome::Stopped);
    }
}

/// A boxed stack.
struct Lent<M>(Box<M>);

impl<M: AsMut<[u8]>> AsMut<[u8]> for Lent<M> {
    fn as_mut(&mut self) -> &mut [u8] {
        (*self.0).as_mut()
    }
}
