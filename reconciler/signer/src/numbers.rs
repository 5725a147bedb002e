//! Numbers of Assignments.

use std::sync::atomic::{AtomicU64, Ordering};

/// Gives numbers that rise strictly, and go on above the last ones after a restart: Unix microseconds, or one more
/// than the last number where the clock stands or goes back. Only within a session must they rise, and a session
/// that outlives the signer got its last number from a clock that has gone on since.
#[derive(Debug, Default)]
pub(crate) struct Numbers(AtomicU64);

impl Numbers {
    /// The next number at `now`, in Unix microseconds.
    pub(crate) fn next(&self, now: u64) -> u64 {
        let last = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(now.max(last + 1)))
            .expect("the closure always gives a number");
        now.max(last + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_though_the_clock_stands_or_goes_back() {
        let numbers = Numbers::default();
        let given: Vec<_> = [10, 10, 5, 11, 100, 1].into_iter().map(|now| numbers.next(now)).collect();
        assert_eq!(given, [10, 11, 12, 13, 100, 101]);
    }
}
