//! What the threads of an application and of its owner share.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Budget, Counts, Stats};

/// Stops an application and tells what it uses.
#[derive(Debug)]
pub(crate) struct Control {
    stop: AtomicBool,
    loading: AtomicBool,
    /// Wakes an application that sleeps or is held back; the lock guards nothing but the wait.
    lock: Mutex<()>,
    wake: Condvar,
    budget: Arc<Budget>,
    cpu_ns: AtomicU64,
    held_back: AtomicU64,
    log_lines_dropped: AtomicU64,
    published: AtomicU64,
    publish_refused: AtomicU64,
}

impl Control {
    pub(crate) fn new(budget: Arc<Budget>) -> Self {
        Self {
            stop: AtomicBool::new(false),
            loading: AtomicBool::new(true),
            lock: Mutex::new(()),
            wake: Condvar::new(),
            budget,
            cpu_ns: AtomicU64::new(0),
            held_back: AtomicU64::new(0),
            log_lines_dropped: AtomicU64::new(0),
            published: AtomicU64::new(0),
            publish_refused: AtomicU64::new(0),
        }
    }

    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.budget
    }

    pub(crate) fn set_cpu(&self, nanoseconds: u64) {
        self.cpu_ns.store(nanoseconds, Ordering::Relaxed);
    }

    /// Counts that it is over its share.
    pub(crate) fn count_held_back(&self) {
        self.held_back.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_counts(&self, counts: Counts) {
        self.log_lines_dropped.store(counts.log_lines_dropped, Ordering::Relaxed);
        self.published.store(counts.published, Ordering::Relaxed);
        self.publish_refused.store(counts.publish_refused, Ordering::Relaxed);
    }

    pub(crate) fn stop(&self) {
        // Under the lock, so that no sleeper looks before and waits after.
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.stop.store(true, Ordering::Release);
        self.wake.notify_all();
        self.budget.close();
    }

    /// Whether the module is still being loaded, which ends by itself only.
    pub(crate) fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    pub(crate) fn loaded(&self) {
        self.loading.store(false, Ordering::Release);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Sleeps, but no longer than until [`Control::stop`]. Whether the time has passed.
    pub(crate) fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now().checked_add(time);
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if self.is_stopping() {
                return false;
            }
            let left = match until {
                Some(until) => until.saturating_duration_since(Instant::now()),
                None => time,
            };
            if left.is_zero() {
                return true;
            }
            guard = match self.wake.wait_timeout(guard, left) {
                Ok((guard, _)) => guard,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            cpu: Duration::from_nanos(self.cpu_ns.load(Ordering::Relaxed)),
            memory: self.budget.used(),
            memory_peak: self.budget.peak(),
            held_back: self.held_back.load(Ordering::Relaxed),
            log_lines_dropped: self.log_lines_dropped.load(Ordering::Relaxed),
            published: self.published.load(Ordering::Relaxed),
            publish_refused: self.publish_refused.load(Ordering::Relaxed),
        }
    }
}
