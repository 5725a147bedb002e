//! embassy-time on TIM5, which counts microseconds, as QEMU 7.2 plays it.
//!
//! QEMU's timer differs from the chip's (RM0090), and this driver is for QEMU's alone: an alarm comes `ARR` ticks after `ARR` was
//! written, plus the difference between QEMU's own clock and the counter, whatever the counter says. So the counter is set to
//! QEMU's clock once, which begins at 0 with QEMU (a reset ends QEMU: `-no-reboot`), and is left alone from then on.

use core::num::NonZeroU32;

use wasmbed_board::time::{Counter, LONGEST, Time};

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

struct Timer5;

embassy_time_driver::time_driver_impl!(static TIME: Time<Timer5> = Time::new(Timer5));

impl Counter for Timer5 {
    fn microseconds(&self) -> u32 {
        TIM5.read(COUNTER)
    }

    /// It cannot be switched off without the counter.
    fn alarm(&self, wait: Option<NonZeroU32>) {
        TIM5.write(RELOAD, wait.unwrap_or(LONGEST).get());
    }
}

pub(crate) fn start() {
    TIM5.write(PRESCALER, TICKS_PER_MICROSECOND - 1);
    // TIM2 was never written to: it is QEMU's clock, in nanoseconds, of which four seconds have not passed yet.
    TIM5.write(COUNTER, TIM2.read(COUNTER) / TICKS_PER_MICROSECOND);
    TIM5.write(INTERRUPT_ENABLE, UPDATE);
    TIM5.write(CONTROL, ENABLE);
    TIM5.write(RELOAD, LONGEST.get());
    Line::Timer5.unmask();
}

pub(crate) fn interrupt() {
    TIM5.write(STATUS, 0);
    TIME.alarmed();
}
