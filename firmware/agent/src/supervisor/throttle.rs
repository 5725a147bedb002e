//! Whether an application is held back by its limits, so that people can be told: not for a moment's burst, and not anew at every
//! account.

use wasmbed_protocol::message::Throttled;

use crate::event::HeldBack;

/// So many accounts in a row, a second apart, have to show it.
const ACCOUNTS: u32 = 3;
/// It is over when none did for so long.
const CALM_MS: u64 = 60_000;

#[derive(Debug, Default)]
pub(super) struct Throttle {
    last: HeldBack,
    in_a_row: u32,
    /// By what, and when it was last seen.
    by: Option<(Throttled, u64)>,
}

impl Throttle {
    /// Takes in how often the run was held back until now.
    pub(super) fn account(&mut self, held_back: HeldBack, now: u64) {
        let last = core::mem::replace(&mut self.last, held_back);
        let rose = |throttled| match throttled {
            Throttled::CpuTime => held_back.cpu_time > last.cpu_time,
            Throttled::Log => held_back.log > last.log,
            Throttled::Output => held_back.output > last.output,
        };
        let seen = Throttled::ALL.iter().copied().find(|throttled| rose(*throttled));
        self.in_a_row = if seen.is_some() { self.in_a_row.saturating_add(1) } else { 0 };
        self.by = match self.by {
            Some((by, _)) if rose(by) => Some((by, now)),
            Some((_, since)) if now < since + CALM_MS => self.by,
            _ => seen.filter(|_| self.in_a_row >= ACCOUNTS).map(|by| (by, now)),
        };
    }

    /// By which limit it is held back.
    pub(super) fn by(&self) -> Option<Throttled> {
        self.by.map(|(by, _)| by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000;

    /// Accounts a second apart, each of which rises by this; what is said after each.
    fn after(throttle: &mut Throttle, now: &mut u64, rises: HeldBack, seconds: u32) -> Option<Throttled> {
        for _ in 0..seconds {
            *now += SECOND;
            let HeldBack { cpu_time, log, output } = throttle.last;
            let total =
                HeldBack { cpu_time: cpu_time + rises.cpu_time, log: log + rises.log, output: output + rises.output };
            throttle.account(total, *now);
        }
        throttle.by()
    }

    const NOTHING: HeldBack = HeldBack { cpu_time: 0, log: 0, output: 0 };
    const BUSY: HeldBack = HeldBack { cpu_time: 9, ..NOTHING };
    const FLOOD: HeldBack = HeldBack { log: 100, ..NOTHING };

    #[test]
    fn a_burst_is_not_told_and_what_lasts_is_until_it_is_calm_for_a_minute() {
        let (mut throttle, mut now) = (Throttle::default(), 0);
        assert_eq!(after(&mut throttle, &mut now, BUSY, 2), None, "a burst");
        assert_eq!(after(&mut throttle, &mut now, NOTHING, 1), None);
        assert_eq!(after(&mut throttle, &mut now, BUSY, 2), None, "another one");
        assert_eq!(after(&mut throttle, &mut now, BUSY, 1), Some(Throttled::CpuTime));
        // On and off for ever is one state.
        for _ in 0..10 {
            assert_eq!(after(&mut throttle, &mut now, NOTHING, 59), Some(Throttled::CpuTime));
            assert_eq!(after(&mut throttle, &mut now, BUSY, 1), Some(Throttled::CpuTime));
        }
        assert_eq!(after(&mut throttle, &mut now, NOTHING, 60), None);
    }

    #[test]
    fn another_reason_follows_when_the_first_is_over() {
        let (mut throttle, mut now) = (Throttle::default(), 0);
        let both = HeldBack { output: 1, ..FLOOD };
        assert_eq!(after(&mut throttle, &mut now, both, 3), Some(Throttled::Log));
        let output = HeldBack { output: 1, ..NOTHING };
        assert_eq!(after(&mut throttle, &mut now, output, 59), Some(Throttled::Log));
        assert_eq!(after(&mut throttle, &mut now, output, 1), Some(Throttled::Output));
    }
}
