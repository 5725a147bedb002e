//! embassy-time on the periodic interrupt timer: channels 0 and 1 chained count microseconds, channel 2 is the alarm.

use core::num::NonZeroU32;

use wasmbed_board::time::{Counter, Time};

use crate::clock;
use crate::interrupts::Line;
use crate::registers::PIT;

const MODULE: u32 = 0x000;
const ENABLED: u32 = 1;
const INTERRUPT: u32 = 1 << 1;
const CHAINED: u32 = 1 << 2;
/// Ticks of the bus's clock of 60 MHz in a microsecond. A channel has 32 bits, which the longest alarm fits.
const TICKS: u32 = 60;

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

struct Pit;

embassy_time_driver::time_driver_impl!(static TIME: Time<Pit> = Time::new(Pit));

impl Counter for Pit {
    fn microseconds(&self) -> u32 {
        // It counts down.
        !PIT.read(value(1))
    }

    fn alarm(&self, wait: Option<NonZeroU32>) {
        PIT.write(control(2), 0);
        let Some(wait) = wait else { return };
        PIT.write(load(2), wait.get() * TICKS - 1);
        PIT.write(flag(2), 1);
        PIT.write(control(2), ENABLED | INTERRUPT);
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
    PIT.write(flag(2), 1);
    TIME.alarmed();
}
