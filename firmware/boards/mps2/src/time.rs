//! embassy-time on FPGAIO's counter (a microsecond a tick) and TIMER0 (25 MHz).

use core::cell::RefCell;
use core::task::Waker;

use critical_section::{CriticalSection, Mutex};
use embassy_time_driver::Driver;
use embassy_time_queue_utils::Queue;

use crate::interrupts::Line;
use crate::registers::{FPGAIO, TIMER0, TIMER1};

const COUNTER: u32 = 0x18;
const PRESCALE: u32 = 0x1C;
/// 25 MHz by 24 + 1.
const MICROSECONDS: u32 = 24;

const CONTROL: u32 = 0x0;
const VALUE: u32 = 0x4;
const RELOAD: u32 = 0x8;
const INTERRUPT_CLEAR: u32 = 0xC;
const ENABLE: u32 = 1;
const INTERRUPT: u32 = 1 << 3;
const TICKS_PER_MICROSECOND: u64 = 25;
/// TIMER0 has 32 bits; later alarms are set again on the way.
const LONGEST_MICROSECONDS: u64 = 60_000_000;
/// QEMU looks at a new socket of its user network only when something else wakes it: TIMER1 does, without interrupt. That
/// brings a connection from a second to some milliseconds.
const WAKE_QEMU_MICROSECONDS: u64 = 5_000;

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
        let counter = FPGAIO.read(COUNTER);
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
            if next == u64::MAX {
                TIMER0.write(CONTROL, 0);
                return;
            }
            // Whoever was due is woken by now.
            let Some(wait) = next.checked_sub(now).filter(|wait| *wait > 0) else { continue };
            let ticks = (wait.min(LONGEST_MICROSECONDS) * TICKS_PER_MICROSECOND) as u32;
            TIMER0.write(CONTROL, 0);
            TIMER0.write(INTERRUPT_CLEAR, 1);
            TIMER0.write(RELOAD, ticks);
            TIMER0.write(VALUE, ticks);
            TIMER0.write(CONTROL, ENABLE | INTERRUPT);
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
    FPGAIO.write(PRESCALE, MICROSECONDS);
    FPGAIO.write(COUNTER, 0);
    let ticks = (WAKE_QEMU_MICROSECONDS * TICKS_PER_MICROSECOND) as u32;
    TIMER1.write(RELOAD, ticks);
    TIMER1.write(VALUE, ticks);
    TIMER1.write(CONTROL, ENABLE);
    Line::Timer0.unmask();
}

pub(crate) fn interrupt() {
    critical_section::with(|cs| {
        TIMER0.write(INTERRUPT_CLEAR, 1);
        TIME.with(cs, State::arm);
    });
}
