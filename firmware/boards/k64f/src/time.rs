//! embassy-time on the periodic interrupt timer: channels 0 and 1 chained count microseconds, channel 2 is the alarm.

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::clock;
use crate::interrupts::Line;
use crate::registers::PIT;

const MODULE: u32 = 0x000;
const ENABLED: u32 = 1;
const INTERRUPT: u32 = 1 << 1;
const CHAINED: u32 = 1 << 2;
/// Ticks of the bus's clock of 60 MHz in a microsecond.
const TICKS: u32 = 60;
/// Later alarms are set again on the way.
const LONGEST: u64 = 60_000_000;

/// Registers of a channel.
const fn load(channel: u32) -> u32 {
    0x100 + 0x10 * channel
}
const fn value(channel: u32) -> u32 {
    load(channel) + 0x4
}
const fn control(channel: u32) -> u32 {
    load(channel) + 0x8
}
const fn flag(channel: u32) -> u32 {
    load(channel) + 0xC
}

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
    /// The counter wraps every 71 minutes, and is read far more often: the watchdog sees to that.
    fn now(&mut self) -> u64 {
        // It counts down.
        let counter = !PIT.read(value(1));
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
            PIT.write(control(2), 0);
            if next == u64::MAX {
                return;
            }
            // Whoever was due is woken by now.
            let Some(wait) = next.checked_sub(now).filter(|wait| *wait > 0) else { continue };
            PIT.write(load(2), wait.min(LONGEST) as u32 * TICKS - 1);
            PIT.write(flag(2), 1);
            PIT.write(control(2), ENABLED | INTERRUPT);
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
    clock::gate(6, 23);
    PIT.write(MODULE, 0);
    PIT.write(load(1), u32::MAX);
    PIT.write(control(1), CHAINED | ENABLED);
    PIT.write(load(0), TICKS - 1);
    PIT.write(control(0), ENABLED);
    Line::Alarm.unmask();
}

pub(crate) fn interrupt() {
    critical_section::with(|cs| {
        PIT.write(flag(2), 1);
        TIME.with(cs, State::arm);
    });
}
