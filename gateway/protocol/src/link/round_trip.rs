//! How long to wait for an answer before sending again: from the times that answers took (as in RFC 6298).

/// Before anything was measured, in milliseconds.
const FIRST: u64 = 500;
/// Shorter than a busy host sometimes takes: sending again sooner would cost more than it gains.
const SHORTEST: u64 = 200;
/// After a pause of the other end, the stream moves again within this time.
const LONGEST: u64 = 1_000;

#[derive(Debug)]
pub(super) struct RoundTrip {
    /// Smoothed time and its deviation, in milliseconds; no time before the first measure.
    smoothed: Option<(u64, u64)>,
    /// How often in a row nothing came in time.
    doublings: u32,
}

impl RoundTrip {
    pub(super) const fn new() -> Self {
        Self { smoothed: None, doublings: 0 }
    }

    pub(super) fn measured(&mut self, took: u64) {
        let took = took.min(LONGEST);
        self.smoothed = Some(match self.smoothed {
            None => (took, took / 2),
            Some((mean, deviation)) => {
                ((7 * mean + took).div_ceil(8), (3 * deviation + mean.abs_diff(took)).div_ceil(4))
            }
        });
    }

    pub(super) fn answered(&mut self) {
        self.doublings = 0;
    }

    pub(super) fn missed(&mut self) {
        self.doublings = (self.doublings + 1).min(8);
    }

    /// Milliseconds to wait now.
    pub(super) fn patience(&self) -> u64 {
        let once = self.smoothed.map_or(FIRST, |(mean, deviation)| mean + 4 * deviation);
        (once.max(SHORTEST) << self.doublings).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::RoundTrip;

    #[test]
    fn patience_follows_what_was_measured_and_doubles_when_nothing_comes() {
        let mut time = RoundTrip::new();
        assert_eq!(time.patience(), 500);
        for _ in 0..50 {
            time.measured(100);
        }
        assert_eq!(time.patience(), 200);
        time.missed();
        assert_eq!(time.patience(), 400);
        for _ in 0..100 {
            time.missed();
        }
        assert_eq!(time.patience(), 1_000);
        time.answered();
        time.measured(u64::MAX);
        assert!((300..=1_000).contains(&time.patience()));
    }
}
