//! Holds an application to its share of the processor.

/// The most an application that waited may use at once: its share of this part of a second.
const BURST_PER_SECOND: u64 = 10;
const WHOLE: u64 = 1000;

/// The account of one application, in ticks. Pure: the time comes from outside.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Of 1000.
    share: u64,
    ticks_per_second: u64,
    /// Thousandths of ticks it may use before it is held back; below 0 it is.
    credit: i64,
    settled: u64,
}

impl Pace {
    /// An account that is opened now. `share` is of 1000, all of which is unlimited.
    pub(crate) fn new(share: u32, ticks_per_second: u32, now: u64) -> Self {
        Self { share: u64::from(share), ticks_per_second: u64::from(ticks_per_second), credit: 0, settled: now }
    }

    /// Until when the application is held back, if it is.
    pub(crate) fn held_until(&mut self, now: u64) -> Option<u64> {
        self.earn(now);
        if self.share >= WHOLE || self.credit >= 0 {
            return None;
        }
        Some(now.saturating_add(self.credit.unsigned_abs().div_ceil(self.share.max(1))))
    }

    /// After a slice that took so many ticks.
    pub(crate) fn used(&mut self, ticks: u64, now: u64) {
        self.earn(now);
        self.credit = self.credit.saturating_sub_unsigned(ticks.saturating_mul(WHOLE));
    }

    fn earn(&mut self, now: u64) {
        let passed = now.saturating_sub(self.settled);
        self.settled = self.settled.max(now);
        let burst = i64::try_from(self.ticks_per_second / BURST_PER_SECOND * self.share).unwrap_or(i64::MAX);
        self.credit = self.credit.saturating_add_unsigned(passed.saturating_mul(self.share)).min(burst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000;

    /// Runs an application that never rests in slices of so many ticks, for so many ticks; what it used.
    fn greedy(share: u32, slice: u64, time: u64) -> u64 {
        let mut pace = Pace::new(share, SECOND as u32, 0);
        let (mut now, mut used) = (0, 0);
        while now < time {
            match pace.held_until(now) {
                Some(until) => {
                    assert!(until > now, "it makes way");
                    now = until;
                }
                None => {
                    now += slice;
                    used += slice;
                    pace.used(slice, now);
                }
            }
        }
        used
    }

    #[test]
    fn a_greedy_application_gets_its_share_and_no_more() {
        for share in [1, 10, 100, 500, 999] {
            let used = greedy(share, 1000, 20 * SECOND);
            let due = 20 * SECOND * u64::from(share) / 1000;
            assert!(used >= due - due / 50 && used <= due + 1000, "{share}: {used} of {due}");
        }
    }

    #[test]
    fn the_whole_processor_is_never_held_back() {
        assert_eq!(greedy(1000, 1000, SECOND), SECOND);
    }

    #[test]
    fn who_rested_may_use_a_tenth_of_a_second_of_its_share_at_once() {
        let mut pace = Pace::new(100, SECOND as u32, 0);
        let now = 100 * SECOND;
        assert_eq!(pace.held_until(now), None);
        pace.used(10_000, now);
        assert_eq!(pace.held_until(now), None);
        pace.used(1, now);
        assert_eq!(pace.held_until(now), Some(now + 10));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing() {
        let mut pace = Pace::new(100, SECOND as u32, SECOND);
        pace.used(10, SECOND);
        assert_eq!(pace.held_until(0), Some(100));
        assert_eq!(pace.held_until(SECOND), Some(SECOND + 100));
    }
}
