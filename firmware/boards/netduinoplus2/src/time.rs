//! embassy-time on TIM5, which counts microseconds, as QEMU 7.2 plays it.
//!
//! QEMU's timer differs from the chip's (RM0090), and this driver is for QEMU's alone: an alarm comes `ARR` ticks after `ARR` was
//! written, plus the difference between QEMU's own clock and the counter, whatever the counter says. So the counter is set to
//! QEMU's clock once, which begins at 0 with QEMU (a reset ends QEMU: `-no-reboot`), and is left alone from then on.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::interrupts::Line;
use crate::registers::{TIM2, TIM5};

const CONTROL: u32 = 0x00;
const INTERRUPT_ENABLE: u32 = 0x0C;
const STATUS: u32 = 0x10;
const COUNTER: u32 = 0x24;
const PRESCALER: u32 = 0x28;
const RELOAD: u32 = 0x2C;
const ENABLE: u32 = 1;
const UPDATE: u32 = 1;
/// QEMU's timers count nanoseconds.
const TICKS_PER_MICROSECOND: u32 = 1_000;
/// Later alarms are set again on the way; the counter wraps in 71 minutes, and has to be read before.
const LONGEST: u64 = 60_000_000;

struct State {
    queue: Queue,
    /// What the counter read last, and how often it wrapped.
    last: u32,
    wraps: u32,
}

struct Time(Mutex<RefCell<State>>);

embassy_time_driver::time_driver_impl!(static TIME: Time = Time(Mutex::new(RefCell::new(State {
    queue: Queue::new(),
    last: 0,
    wraps: 0,
}))));

impl State {
    fn now(&mut self) -> u64 {
        let counter = TIM5.read(COUNTER);
        if counter < self.last {
            self.wraps += 1;
        }
        self.last = counter;
        u64::from(self.wraps) << 32 | u64::from(counter)
    }

    /// Sets the alarm to the next time that somebody waits for.
    fn arm(&mut self) {
        loop {
            let now = self.now();
            let next = self.queue.next_expiration(now);
            // Whoever was due is woken by now.
            let Some(wait) = next.checked_sub(now).filter(|wait| *wait > 0) else { continue };
            TIM5.write(RELOAD, wait.min(LONGEST) as u32);
            return;
        }
    }
}

impl Time {
    fn with<R>(&self, cs: CriticalSection<'_>, work: impl FnOnce(&mut State) -> R) -> R {
        work(&mut self.0.borrow_ref_mut(cs))
    }
}

impl Driver for Time {
    fn now(&self) -> u64 {
        critical_section::with(|cs| self.with(cs, State::now))
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        critical_section::with(|cs| {
            self.with(cs, |state| {
                if state.queue.schedule_wake(at, waker) {
                    state.arm();
                }
            });
        });
    }
}

pub(crate) fn start() {
    TIM5.write(PRESCALER, TICKS_PER_MICROSECOND - 1);
    // TIM2 was never written to: it is QEMU's clock, in nanoseconds, of which four seconds have not passed yet.
    TIM5.write(COUNTER, TIM2.read(COUNTER) / TICKS_PER_MICROSECOND);
    TIM5.write(INTERRUPT_ENABLE, UPDATE);
    TIM5.write(CONTROL, ENABLE);
    TIM5.write(RELOAD, LONGEST as u32);
    Line::Timer5.unmask();
}

pub(crate) fn interrupt() {
    critical_section::with(|cs| {
        TIM5.write(STATUS, 0);
        TIME.with(cs, State::arm);
    });
}
