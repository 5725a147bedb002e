//! UART0, which the board's debugger shows as a serial port (PTB16 and PTB17): the log goes out of it at 115,200 baud.

use wasmbed_board::console::Console;

use crate::clock;
use crate::interrupts::Line;
use crate::registers::{PORT_B, UART0};

const BAUD_HIGH: u32 = 0x00;
const BAUD_LOW: u32 = 0x01;
const CONTROL_2: u32 = 0x03;
const STATUS_1: u32 = 0x04;
const DATA: u32 = 0x07;
const CONTROL_4: u32 = 0x0A;
const RECEIVE_WATERMARK: u32 = 0x15;
const TAKES_DATA: u8 = 1 << 7;
const TRANSMIT: u8 = 1 << 3;
const TRANSMIT_INTERRUPT: u8 = 1 << 7;
/// 120 MHz by 16 and 115,200 is 65 and 3/32.
const DIVIDER: u8 = 65;
const DIVIDER_FINE: u8 = 3;
/// Function 3 of a pin.
const ALTERNATIVE_3: u32 = 3 << 8;
/// How often an emergency looks whether the UART takes a byte: more than a byte takes at this speed.
const PATIENCE: u32 = 100_000;

/// UART0, started.
pub struct Uart(());

impl Uart {
    pub(crate) fn start() -> Self {
        clock::gate(4, 10);
        clock::gate(5, 10);
        PORT_B.write(4 * 16, ALTERNATIVE_3);
        PORT_B.write(4 * 17, ALTERNATIVE_3);
        begin();
        Line::Uart0.unmask();
        Self(())
    }
}

fn begin() {
    UART0.write_byte(CONTROL_2, 0);
    UART0.write_byte(BAUD_HIGH, 0);
    UART0.write_byte(BAUD_LOW, DIVIDER);
    UART0.write_byte(CONTROL_4, DIVIDER_FINE);
    // The chip resets it to 1; Renode's model to 0, which makes its receiver raise its flag for ever.
    UART0.write_byte(RECEIVE_WATERMARK, 1);
    UART0.write_byte(CONTROL_2, TRANSMIT);
}

impl Console for Uart {
    fn write(&mut self, byte: u8) -> bool {
        if UART0.read_byte(STATUS_1) & TAKES_DATA == 0 {
            UART0.write_byte(CONTROL_2, TRANSMIT | TRANSMIT_INTERRUPT);
            // It may have become free before the interrupt was enabled.
            if UART0.read_byte(STATUS_1) & TAKES_DATA == 0 {
                return false;
            }
        }
        UART0.write_byte(DATA, byte);
        true
    }
}

/// That the processor wakes is all: the next pass of the executor writes on.
pub(crate) fn interrupt() {
    UART0.write_byte(CONTROL_2, TRANSMIT);
}

/// Writes without interrupts; a UART that takes nothing loses what it does not take.
pub(crate) fn print(text: &str) {
    UART0.write_byte(CONTROL_2, TRANSMIT);
    for byte in text.bytes() {
        if !(0..PATIENCE).any(|_| UART0.read_byte(STATUS_1) & TAKES_DATA != 0) {
            return;
        }
        UART0.write_byte(DATA, byte);
    }
}
