//! UART0: the log goes out of it.

use wasmbed_board::console::Console;

use crate::interrupts::Line;
use crate::registers::UART0;

const DATA: u32 = 0x00;
const STATE: u32 = 0x04;
const CONTROL: u32 = 0x08;
const INTERRUPT_CLEAR: u32 = 0x0C;
const BAUD_DIVIDER: u32 = 0x10;
const FULL: u32 = 1;
const TRANSMIT: u32 = 1;
const TRANSMIT_INTERRUPT: u32 = 1 << 2;
/// 25 MHz by 115,200. (Below 16 the UART does not work at all.)
const DIVIDER: u32 = 217;
/// How often an emergency looks whether the UART takes a byte: more than a byte takes at this speed.
const PATIENCE: u32 = 10_000;

/// UART0, started.
pub(crate) struct Uart(());

impl Uart {
    pub(crate) fn start() -> Self {
        UART0.write(BAUD_DIVIDER, DIVIDER);
        UART0.write(CONTROL, TRANSMIT);
        Line::Uart0Transmit.unmask();
        Self(())
    }
}

impl Console for Uart {
    fn write(&mut self, byte: u8) -> bool {
        if UART0.read(STATE) & FULL != 0 {
            UART0.write(CONTROL, TRANSMIT | TRANSMIT_INTERRUPT);
            // It may have become free before the interrupt was enabled.
            if UART0.read(STATE) & FULL != 0 {
                return false;
            }
        }
        UART0.write(DATA, byte.into());
        true
    }
}

/// That the processor wakes is all: the next pass of the executor writes on.
pub(crate) fn interrupt() {
    UART0.write(CONTROL, TRANSMIT);
    UART0.write(INTERRUPT_CLEAR, 1);
}

/// Writes without interrupts; a UART that takes nothing loses what it does not take.
pub(crate) fn print(text: &str) {
    UART0.write(BAUD_DIVIDER, DIVIDER);
    UART0.write(CONTROL, TRANSMIT);
    for byte in text.bytes() {
        let taken = (0..PATIENCE).any(|_| UART0.read(STATE) & FULL == 0);
        if !taken {
            return;
        }
        UART0.write(DATA, byte.into());
    }
}
