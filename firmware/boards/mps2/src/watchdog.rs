//! The watchdog: eight seconds without a feeding are a non-maskable interrupt, eight more a reset.

use crate::registers::WATCHDOG;

const LOAD: u32 = 0x000;
const CONTROL: u32 = 0x008;
const INTERRUPT_CLEAR: u32 = 0x00C;
const LOCK: u32 = 0xC00;
const UNLOCK: u32 = 0x1ACC_E551;
const INTERRUPT_AND_RESET: u32 = 0b11;
/// Of a clock of 25 MHz.
const EIGHT_SECONDS: u32 = 8 * 25_000_000;

pub(crate) fn start() {
    WATCHDOG.write(LOCK, UNLOCK);
    WATCHDOG.write(LOAD, EIGHT_SECONDS);
    WATCHDOG.write(CONTROL, INTERRUPT_AND_RESET);
    WATCHDOG.write(LOCK, 0);
}

/// Starts its time anew.
pub(crate) fn feed() {
    WATCHDOG.write(LOCK, UNLOCK);
    WATCHDOG.write(INTERRUPT_CLEAR, 1);
    WATCHDOG.write(LOCK, 0);
}
