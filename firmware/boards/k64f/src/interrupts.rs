//! The interrupts that are used, and their handlers.

#![allow(unsafe_code)]

use cortex_m::peripheral::NVIC;

use crate::{ethernet, time, uart, watchdog};

/// A line of the interrupt controller.
#[derive(Clone, Copy)]
pub(crate) enum Line {
    Uart0 = 31,
    Alarm = 50,
    EthernetTransmit = 83,
    EthernetReceive = 84,
}

// SAFETY: the numbers are below the 86 that the chip has.
unsafe impl cortex_m::interrupt::InterruptNumber for Line {
    fn number(self) -> u16 {
        self as u16
    }
}

impl Line {
    pub(crate) fn unmask(self) {
        // SAFETY: no critical section is built on masks of single lines.
        unsafe { NVIC::unmask(self) }
    }
}

type Handler = unsafe extern "C" fn();

/// What cortex-m-rt puts behind the exceptions.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table.interrupts")]
static __INTERRUPTS: [Handler; 86] = {
    let mut handlers: [Handler; 86] = [unexpected; 86];
    handlers[Line::Uart0 as usize] = uart0;
    handlers[Line::Alarm as usize] = alarm;
    handlers[Line::EthernetTransmit as usize] = enet;
    handlers[Line::EthernetReceive as usize] = enet;
    handlers
};

/// What the chip reads at its reset (the flash configuration field): not secured, not protected, nothing special. Anything
/// else may lock the chip for ever.
#[used]
#[unsafe(link_section = ".flash_config")]
static FLASH_CONFIGURATION: [u8; 16] =
    [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0xFF, 0xFF];

/// cortex-m-rt calls it before memory is set up: the watchdog leaves no time for that.
#[unsafe(no_mangle)]
extern "C" fn __pre_init() {
    watchdog::start();
}

extern "C" fn uart0() {
    uart::interrupt();
}

extern "C" fn alarm() {
    time::interrupt();
}

extern "C" fn enet() {
    ethernet::interrupt();
}

extern "C" fn unexpected() {
    panic!("an interrupt came that nobody enabled");
}
