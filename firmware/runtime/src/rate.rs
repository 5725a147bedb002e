//! So much in each second, with a burst of two seconds' worth.

use core::time::Duration;

/// A bucket that fills at a rate. `now` is any clock that does not go back.
#[derive(Debug)]
pub(crate) struct Rate {
    per_second: u64,
    /// Millionths of what is counted.
    level: u64,
    filled: Duration,
}

const MICRO: u64 = 1_000_000;
const BURST_SECONDS: u64 = 2;

impl Rate {
    pub(crate) fn new(per_second: u32, now: Duration) -> Self {
        let per_second = u64::from(per_second);
        Self { per_second, level: per_second * BURST_SECONDS * MICRO, filled: now }
    }

    /// Takes `amount` if it is there. More than the whole burst is never there.
    pub(crate) fn take(&mut self, amount: usize, now: Duration) -> bool {
        let elapsed = now.saturating_sub(self.filled);
        let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        self.filled = self.filled.max(now);
        self.level = self
            .level
            .saturating_add(micros.saturating_mul(self.per_second))
            .min(self.per_second * BURST_SECONDS * MICRO);
        let Some(needed) = u64::try_from(amount).ok().and_then(|amount| amount.checked_mul(MICRO)) else {
            return false;
        };
        if needed > self.level {
            return false;
        }
        self.level -= needed;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_two_seconds_is_there_at_once_and_then_the_rate() {
        let mut rate = Rate::new(10, Duration::ZERO);
        let taken = (0..100).filter(|_| rate.take(1, Duration::ZERO)).count();
        assert_eq!(taken, 20);
        let taken = (0..1000).filter(|i| rate.take(1, Duration::from_millis(10 * i))).count();
        assert_eq!(taken, 99, "ten seconds less the last step");
    }

    #[test]
    fn a_rate_of_nothing_gives_nothing_and_a_clock_that_goes_back_gives_no_more() {
        assert!(!Rate::new(0, Duration::ZERO).take(1, Duration::from_secs(100)));
        let mut rate = Rate::new(1, Duration::from_secs(10));
        assert!(rate.take(2, Duration::from_secs(10)));
        assert!(!rate.take(1, Duration::from_secs(5)));
        assert!(!rate.take(1, Duration::from_secs(10)));
        assert!(rate.take(1, Duration::from_secs(11)));
    }
}
