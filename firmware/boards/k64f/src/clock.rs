//! 120 MHz for the processor, 60 for the bus, 24 for the flash, of the 50 MHz that the Ethernet's PHY gives.

use crate::registers::{CLOCK, OSCILLATOR, SIM};

const SIM_DIVIDERS: u32 = 0x1044;
/// Core by 1, bus by 2, FlexBus by 3, flash by 5.
const DIVIDERS: u32 = 1 << 24 | 2 << 20 | 4 << 16;
const C1: u32 = 0x0;
const C2: u32 = 0x1;
const C5: u32 = 0x4;
const C6: u32 = 0x5;
const STATUS: u32 = 0x6;
/// A fast external clock that is no crystal.
const EXTERNAL_FAST: u8 = 2 << 4;
/// CLKS: the external clock; FRDIV: by 1,536, for the loop that is left.
const BY_EXTERNAL: u8 = 2 << 6 | 7 << 3;
const BY_PLL: u8 = 7 << 3;
/// 50 MHz by 20.
const REFERENCE_2_5_MHZ: u8 = 19;
/// 2.5 MHz times 48.
const TIMES_48: u8 = 24;
const PLL: u8 = 1 << 6;
const OSCILLATOR_ON: u8 = 1 << 7;
/// How often a status is read before the clock counts as missing. The processor runs by its internal clock then, too slow for
/// its own UART, and the watchdog goes on trying.
const PATIENCE: u32 = 1_000_000;

/// Sets the clocks up. Whether the external clock is there.
pub(crate) fn start() -> bool {
    SIM.write(SIM_DIVIDERS, DIVIDERS);
    OSCILLATOR.write_byte(0, OSCILLATOR_ON);
    CLOCK.write_byte(C2, EXTERNAL_FAST);
    CLOCK.write_byte(C1, BY_EXTERNAL);
    // Neither by the internal reference, nor by anything else than the external clock.
    let external = wait(|status| status & (1 << 4) == 0 && status >> 2 & 3 == 2);
    CLOCK.write_byte(C5, REFERENCE_2_5_MHZ);
    CLOCK.write_byte(C6, PLL | TIMES_48);
    let locked = wait(|status| status & (1 << 5 | 1 << 6) == 1 << 5 | 1 << 6);
    CLOCK.write_byte(C1, BY_PLL);
    external && locked && wait(|status| status >> 2 & 3 == 3)
}

fn wait(done: impl Fn(u8) -> bool) -> bool {
    (0..PATIENCE).any(|_| done(CLOCK.read_byte(STATUS)))
}

/// Gives a peripheral its clock: a bit of one of the registers SCGC1 to SCGC7.
pub(crate) fn gate(register: u32, bit: u32) {
    SIM.set(0x1028 + 4 * (register - 1), 1 << bit);
}
