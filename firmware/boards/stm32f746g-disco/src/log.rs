//! USART1, which the board's debugger shows as a serial port (PA9): the log goes out of it at 115,200 baud.

use embassy_stm32::Peri;
use embassy_stm32::interrupt::typelevel::{Handler, Interrupt, USART1 as Line};
use embassy_stm32::mode::Blocking;
use embassy_stm32::pac;
use embassy_stm32::peripherals::{PA9, USART1};
use embassy_stm32::usart::{Config, UartTx};
use wasmbed_board::console::Console;

/// How often an emergency looks whether the UART takes a byte: more than a byte takes at this speed.
const PATIENCE: u32 = 100_000;

/// USART1, started.
pub(crate) struct Log {
    _uart: UartTx<'static, Blocking>,
}

impl Log {
    pub(crate) fn start(uart: Peri<'static, USART1>, pin: Peri<'static, PA9>) -> Self {
        let uart = UartTx::new_blocking(uart, pin, Config::default()).expect("115,200 baud can be had of this clock");
        // SAFETY: no critical section is built on masks of single lines.
        #[allow(unsafe_code)]
        unsafe {
            Line::enable();
        }
        Self { _uart: uart }
    }
}

impl Console for Log {
    fn write(&mut self, byte: u8) -> bool {
        if !takes_byte() {
            interrupt_when_free(true);
            // It may have become free before the interrupt was enabled.
            if !takes_byte() {
                return false;
            }
        }
        pac::USART1.tdr().write(|data| data.set_dr(byte.into()));
        true
    }
}

/// That the processor wakes is all: the next pass of the executor writes on.
pub(crate) struct Wake;

impl Handler<Line> for Wake {
    // SAFETY: as the trait wants it; it writes one register.
    #[allow(unsafe_code)]
    unsafe fn on_interrupt() {
        interrupt_when_free(false);
    }
}

/// Writes without interrupts; a UART that takes nothing loses what it does not take.
pub(crate) fn print(text: &str) {
    for byte in text.bytes() {
        if !(0..PATIENCE).any(|_| takes_byte()) {
            return;
        }
        pac::USART1.tdr().write(|data| data.set_dr(byte.into()));
    }
}

fn takes_byte() -> bool {
    pac::USART1.isr().read().txe()
}

fn interrupt_when_free(on: bool) {
    critical_section::with(|_| pac::USART1.cr1().modify(|control| control.set_txeie(on)));
}
