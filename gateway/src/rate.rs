//! Rates: how often something may happen, for one or for each of many.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How often something may happen: once a `period` in the long run, and `burst` times at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    pub(crate) period: Duration,
    pub(crate) burst: u32,
}

/// What has happened so far, as the moment at which all of it will have been paid for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    paid_at: Option<Instant>,
}

impl Meter {
    /// Counts one event if the rate allows it.
    ///
    /// # Errors
    /// How long to wait until it does.
    pub(crate) fn count(&mut self, rate: Rate, now: Instant) -> Result<(), Duration> {
        let paid_at = self.paid_at.map_or(now, |paid_at| paid_at.max(now));
        let debt = (paid_at - now) + rate.period;
        let allowed = rate.period * rate.burst;
        if debt > allowed {
            return Err(debt - allowed);
        }
        self.paid_at = Some(paid_at + rate.period);
        Ok(())
    }

    fn is_settled(&self, now: Instant) -> bool {
        self.paid_at.is_none_or(|paid_at| paid_at <= now)
    }
}

/// A meter for each of many peers. Their number is bounded: when it is reached, newcomers share one meter.
#[derive(Debug)]
pub(crate) struct Meters<K> {
    rate: Rate,
    most: usize,
    each: HashMap<K, Meter>,
    rest: Meter,
}

impl<K: Eq + Hash> Meters<K> {
    pub(crate) fn new(rate: Rate, most: usize) -> Self {
        Self { rate, most, each: HashMap::new(), rest: Meter::default() }
    }

    /// Counts one event of `peer` if the rate allows it.
    ///
    /// # Errors
    /// How long to wait until it does.
    pub(crate) fn count(&mut self, peer: K, now: Instant) -> Result<(), Duration> {
        if self.each.len() >= self.most && !self.each.contains_key(&peer) {
            self.each.retain(|_, meter| !meter.is_settled(now));
        }
        let meter = if self.each.len() < self.most || self.each.contains_key(&peer) {
            self.each.entry(peer).or_default()
        } else {
            &mut self.rest
        };
        meter.count(self.rate, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate { period: Duration::from_secs(1), burst: 3 };

    #[test]
    fn a_burst_is_allowed_and_then_one_a_period() {
        let (mut meter, now) = (Meter::default(), Instant::now());
        for _ in 0..3 {
            assert_eq!(meter.count(RATE, now), Ok(()));
        }
        assert_eq!(meter.count(RATE, now), Err(Duration::from_secs(1)));
        assert_eq!(meter.count(RATE, now + Duration::from_secs(1)), Ok(()));
        assert!(meter.count(RATE, now + Duration::from_secs(1)).is_err());
    }

    #[test]
    fn peers_do_not_pay_for_each_other_until_there_are_too_many_of_them() {
        let (mut meters, now) = (Meters::new(RATE, 2), Instant::now());
        for _ in 0..3 {
            assert!(meters.count("a", now).is_ok() && meters.count("b", now).is_ok());
        }
        for _ in 0..3 {
            assert!(meters.count("c", now).is_ok());
        }
        assert!(meters.count("d", now).is_err(), "c and d share a meter");
        assert!(meters.count("d", now + Duration::from_secs(4)).is_ok(), "a and b have settled and made room");
    }
}
