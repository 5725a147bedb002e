//! The watchdog, on the clock of 1 kHz that never stops: eight seconds without a feeding are a reset.

use crate::registers::WATCHDOG;

const CONTROL_HIGH: u32 = 0x0;
const TIMEOUT_HIGH: u32 = 0x4;
const TIMEOUT_LOW: u32 = 0x6;
const REFRESH: u32 = 0xC;
const UNLOCK: u32 = 0xE;
const PRESCALER: u32 = 0x16;
/// Runs while the processor sleeps and is stopped, not while it is debugged; can be set again.
const ENABLED: u16 = 1 << 7 | 1 << 6 | 1 << 4 | 1;
const MUST_BE_ONE: u16 = 1 << 8;
const EIGHT_SECONDS: u16 = 8_000;

/// Sets it up. It runs from the reset on, with a quarter of a second: this is called before anything else.
pub(crate) fn start() {
    WATCHDOG.write_half(UNLOCK, 0xC520);
    WATCHDOG.write_half(UNLOCK, 0xD928);
    // One clock of the bus passes before the registers are open.
    cortex_m::asm::nop();
    cortex_m::asm::nop();
    WATCHDOG.write_half(TIMEOUT_HIGH, 0);
    WATCHDOG.write_half(TIMEOUT_LOW, EIGHT_SECONDS);
    WATCHDOG.write_half(PRESCALER, 0);
    WATCHDOG.write_half(CONTROL_HIGH, MUST_BE_ONE | ENABLED);
}

/// Starts its time anew.
pub fn feed() {
    // Nothing may come between the two.
    critical_section::with(|_| {
        WATCHDOG.write_half(REFRESH, 0xA602);
        WATCHDOG.write_half(REFRESH, 0xB480);
    });
}
