//! embassy-time on FPGAIO's counter (a microsecond a tick) and TIMER0 (25 MHz).

use core::num::NonZeroU32;

use wasmbed_board::time::{Counter, Time};

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
/// TIMER0 has 32 bits, which is more than twice the longest alarm.
const TICKS_PER_MICROSECOND: u32 = 25;
/// QEMU looks at a new socket of its user network only when something else wakes it: TIMER1 does, without interrupt. That
/// brings a connection from a second to some milliseconds.
const WAKE_QEMU_MICROSECONDS: u32 = 5_000;

struct Fpgaio;

embassy_time_driver::time_driver_impl!(static TIME: Time<Fpgaio> = Time::new(Fpgaio));

impl Counter for Fpgaio {
    fn microseconds(&self) -> u32 {
        FPGAIO.read(COUNTER)
    }

    fn alarm(&self, wait: Option<NonZeroU32>) {
        TIMER0.write(CONTROL, 0);
        let Some(wait) = wait else { return };
        let ticks = wait.get() * TICKS_PER_MICROSECOND;
        TIMER0.write(INTERRUPT_CLEAR, 1);
        TIMER0.write(RELOAD, ticks);
        TIMER0.write(VALUE, ticks);
        TIMER0.write(CONTROL, ENABLE | INTERRUPT);
    }
}

pub(crate) fn start() {
    FPGAIO.write(PRESCALE, MICROSECONDS);
    FPGAIO.write(COUNTER, 0);
    let ticks = WAKE_QEMU_MICROSECONDS * TICKS_PER_MICROSECOND;
    TIMER1.write(RELOAD, ticks);
    TIMER1.write(VALUE, ticks);
    TIMER1.write(CONTROL, ENABLE);
    Line::Timer0.unmask();
}

pub(crate) fn interrupt() {
    TIMER0.write(INTERRUPT_CLEAR, 1);
    TIME.alarmed();
}
