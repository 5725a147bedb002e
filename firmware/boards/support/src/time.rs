//! embassy-time on a counter and an alarm, where the chip's HAL has no driver for it.

use core::cell::RefCell;
use core::num::NonZeroU32;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

/// The longest alarm, in microseconds; later ones are set again on the way.
pub const LONGEST: NonZeroU32 = NonZeroU32::new(60_000_000).expect("it is not 0");

/// A chip's counter that never stops, and its alarm. Called with interrupts disabled.
pub trait Counter {
    /// Microseconds since some moment. They wrap every 71 minutes, and are read far more often: the watchdog sees to that.
    fn microseconds(&self) -> u32;

    /// Sets the alarm to so many microseconds from now, at most [`LONGEST`]; it replaces the one before. `None` if nobody waits.
    fn alarm(&self, wait: Option<NonZeroU32>);
}

/// The driver. A board names it to `embassy_time_driver::time_driver_impl!`.
pub struct Time<C> {
    counter: C,
    state: Mutex<RefCell<State>>,
}

struct State {
    queue: Queue,
    /// What the counter read last, and how often it wrapped.
    last: u32,
    wraps: u32,
}

impl<C: Counter> Time<C> {
    /// A driver for this counter, which the board starts.
    #[must_use]
    pub const fn new(counter: C) -> Self {
        Self { counter, state: Mutex::new(RefCell::new(State { queue: Queue::new(), last: 0, wraps: 0 })) }
    }

    /// To be called by the alarm's interrupt, which is cleared before.
    pub fn alarmed(&self) {
        critical_section::with(|cs| self.arm(cs));
    }

    fn read(&self, cs: CriticalSection<'_>) -> u64 {
        let mut state = self.state.borrow_ref_mut(cs);
        let counter = self.counter.microseconds();
        if counter < state.last {
            state.wraps += 1;
        }
        state.last = counter;
        u64::from(state.wraps) << 32 | u64::from(counter)
    }

    /// Sets the alarm to the next time that somebody waits for.
    fn arm(&self, cs: CriticalSection<'_>) {
        loop {
            let now = self.read(cs);
            let next = self.state.borrow_ref_mut(cs).queue.next_expiration(now);
            if next == u64::MAX {
                return self.counter.alarm(None);
            }
            let wait = next.saturating_sub(now).min(u64::from(LONGEST.get()));
            // Whoever was due is woken by now.
            let Some(wait) = u32::try_from(wait).ok().and_then(NonZeroU32::new) else { continue };
            return self.counter.alarm(Some(wait));
        }
    }
}

impl<C: Counter + Send + Sync + 'static> Driver for Time<C> {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.read(cs))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            let sooner = self.state.borrow_ref_mut(cs).queue.schedule_wake(at, waker);
            if sooner {
                self.arm(cs);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use core::cell::Cell;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Wake;

    use super::*;

    /// A counter that stands where it is put, and remembers its alarm.
    struct Hand {
        at: AtomicU32,
        alarm: Mutex<Cell<Option<NonZeroU32>>>,
    }

    impl Counter for Hand {
        fn microseconds(&self) -> u32 {
            self.at.load(Ordering::Relaxed)
        }

        fn alarm(&self, wait: Option<NonZeroU32>) {
            critical_section::with(|cs| self.alarm.borrow(cs).set(wait));
        }
    }

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn at(start: u32) -> Time<Hand> {
        Time::new(Hand { at: AtomicU32::new(start), alarm: Mutex::new(Cell::new(None)) })
    }

    impl Time<Hand> {
        fn put(&self, at: u32) {
            self.counter.at.store(at, Ordering::Relaxed);
        }

        fn alarm(&self) -> Option<u32> {
            critical_section::with(|cs| self.counter.alarm.borrow(cs).get()).map(NonZeroU32::get)
        }
    }

    #[test]
    fn the_time_goes_on_when_the_counter_wraps() {
        let time = at(u32::MAX - 5);
        assert_eq!(time.now(), u64::from(u32::MAX - 5));
        time.put(3);
        assert_eq!(time.now(), (1 << 32) + 3);
        assert_eq!(time.now(), (1 << 32) + 3);
    }

    #[test]
    fn the_alarm_is_that_of_the_first_who_waits_and_each_is_woken_once() {
        let time = at(0);
        let (first, second) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let counts = || (first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed));
        time.schedule_wake(500, &Waker::from(second.clone()));
        assert_eq!(time.alarm(), Some(500));
        time.schedule_wake(200, &Waker::from(first.clone()));
        assert_eq!(time.alarm(), Some(200));
        time.put(200);
        time.alarmed();
        assert_eq!((counts(), time.alarm()), ((1, 0), Some(300)));
        // An alarm that comes late finds more than it was for.
        time.put(900);
        time.alarmed();
        assert_eq!((counts(), time.alarm()), ((1, 1), None));
    }

    #[test]
    fn a_far_time_is_come_to_in_steps_and_one_that_is_past_at_once() {
        let time = at(0);
        let woken = Arc::<Woken>::default();
        let far = 3 * u64::from(LONGEST.get()) / 2;
        time.schedule_wake(far, &Waker::from(woken.clone()));
        assert_eq!(time.alarm(), Some(LONGEST.get()));
        time.put(LONGEST.get());
        time.alarmed();
        assert_eq!((woken.0.load(Ordering::Relaxed), time.alarm()), (0, Some(LONGEST.get() / 2)));
        time.schedule_wake(1, &Waker::from(woken.clone()));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    }
}
