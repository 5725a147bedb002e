//! When to ask the remote again.

use std::time::Duration;

/// The longest wait after failures.
const LONGEST: Duration = Duration::from_secs(15 * 60);

/// The wait before the next fetch: the interval, doubled with every failure in a row up to a quarter of an hour, and spread by a
/// tenth either way so that many fleets do not ask one server at once. `dice` is drawn from 0..=u32::MAX.
#[must_use]
pub fn next_delay(interval: Duration, failures: u32, dice: u32) -> Duration {
    let longest = LONGEST.max(interval);
    let backed_off = interval.saturating_mul(1 << failures.min(10)).min(longest);
    let spread = 0.9 + 0.2 * f64::from(dice) / f64::from(u32::MAX);
    backed_off.mul_f64(spread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_double_the_wait_until_a_quarter_of_an_hour() {
        let middle = u32::MAX / 2;
        let minute = Duration::from_secs(60);
        let waits: Vec<u64> =
            (0..7).map(|failures| next_delay(minute, failures, middle).as_secs_f64().round() as u64).collect();
        assert_eq!(waits, [60, 120, 240, 480, 900, 900, 900]);
    }

    #[test]
    fn an_interval_longer_than_the_back_off_is_kept() {
        let day = Duration::from_secs(86_400);
        assert!(next_delay(day, 9, u32::MAX / 2) > Duration::from_secs(86_000));
    }

    #[test]
    fn the_spread_is_a_tenth_either_way() {
        let minute = Duration::from_secs(60);
        assert_eq!(next_delay(minute, 0, 0), Duration::from_secs(54));
        assert_eq!(next_delay(minute, 0, u32::MAX), Duration::from_secs(66));
    }
}
