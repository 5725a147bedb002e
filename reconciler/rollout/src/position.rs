//! Where the devices of an application are between two Releases.

use sha2::{Digest, Sha256};

/// A bound over the devices' places, `0..=2^32`: devices whose place is below it run the candidate. It is never
/// lowered while a candidate stands.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Position(u64);

impl Position {
    /// No device runs the candidate.
    pub const NONE: Self = Self(0);
    /// Every device runs the candidate.
    pub const ALL: Self = Self(1 << 32);

    /// The position as it stands in `Rollout.spec.position`; what is above [`Position::ALL`] counts as that.
    #[must_use]
    pub fn new(bound: u64) -> Self {
        Self(bound.min(Self::ALL.0))
    }

    /// The bound, `0..=2^32`.
    #[must_use]
    pub fn bound(self) -> u64 {
        self.0
    }

    /// Whether `device` is below the bound, so that it runs the candidate. `stable` is the name of the stable
    /// Release, empty where there is none: it makes each rollout take the devices in another order.
    #[must_use]
    pub fn includes(self, device: &str, stable: &str) -> bool {
        u64::from(place(device, stable)) < self.0
    }

    /// The lowest position, not below this one, that includes the first `count` of `connected` devices, in the order
    /// of their places.
    #[must_use]
    pub fn covering<'d>(self, count: usize, connected: impl IntoIterator<Item = &'d str>, stable: &str) -> Self {
        let Some(last) = count.checked_sub(1) else { return self };
        let mut places: Vec<u32> = connected.into_iter().map(|device| place(device, stable)).collect();
        if places.is_empty() {
            return self;
        }
        let last = last.min(places.len() - 1);
        let (_, place, _) = places.select_nth_unstable(last);
        self.max(Self(u64::from(*place) + 1))
    }
}

/// A device's place among all devices of a rollout, uniform over 32 bits.
fn place(device: &str, stable: &str) -> u32 {
    let mut hash = Sha256::new();
    hash.update(device);
    // No name holds a zero byte, so the two cannot run into each other.
    hash.update([0]);
    hash.update(stable);
    let hash = hash.finalize();
    u32::from_be_bytes([hash[0], hash[1], hash[2], hash[3]])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_is_below_none_and_everybody_below_all() {
        for number in 0..1000 {
            let device = format!("device-{number}");
            assert!(!Position::NONE.includes(&device, "a"));
            assert!(Position::ALL.includes(&device, "a"));
        }
        assert_eq!(Position::new(u64::MAX), Position::ALL);
    }

    #[test]
    fn another_stable_release_gives_another_order() {
        let half = Position::new(1 << 31);
        let devices: Vec<_> = (0..1000).map(|number| format!("device-{number}")).collect();
        let first: Vec<_> = devices.iter().filter(|device| half.includes(device, "a")).collect();
        let second: Vec<_> = devices.iter().filter(|device| half.includes(device, "b")).collect();
        assert_ne!(first, second);
        assert!((400..600).contains(&first.len()), "{}", first.len());
    }

    proptest! {
        #[test]
        fn a_position_covers_at_least_as_many_as_asked_and_is_never_lowered(
            devices in proptest::collection::hash_set("[a-z]{1,8}", 0..50), count in 0_usize..60, from in 0_u64..(1 << 32),
        ) {
            let before = Position::new(from);
            let names: Vec<&str> = devices.iter().map(String::as_str).collect();
            let after = before.covering(count, names.iter().copied(), "s");
            prop_assert!(after >= before);
            let covered = names.iter().filter(|device| after.includes(device, "s")).count();
            prop_assert!(covered >= count.min(names.len()));
            if after > before {
                // Exactly as many as asked, but for devices that share a place.
                prop_assert!(covered <= count + 1);
            }
        }
    }
}
