//! The interrupts of the MPS2 images that are used, and their handlers.

#![allow(unsafe_code)]

use cortex_m::peripheral::NVIC;

use crate::{ethernet, time, uart};

/// A line of the interrupt controller.
#[derive(Clone, Copy)]
pub(crate) enum Line {
    Uart0Transmit = 1,
    Timer0 = 8,
    Ethernet = 13,
}

// SAFETY: the numbers are below those that the images have.
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

    pub(crate) fn mask(self) {
        NVIC::mask(self);
    }
}

type Handler = unsafe extern "C" fn();

/// What cortex-m-rt puts behind the exceptions.
#[unsafe(no_mangle)]
#[unsafe(link_section = ".vector_table.interrupts")]
static __INTERRUPTS: [Handler; 32] = {
    let mut handlers: [Handler; 32] = [unexpected; 32];
    handlers[Line::Uart0Transmit as usize] = uart_transmit;
    handlers[Line::Timer0 as usize] = timer;
    handlers[Line::Ethernet as usize] = ethernet;
    handlers
};

extern "C" fn uart_transmit() {
    uart::interrupt();
}

extern "C" fn timer() {
    time::interrupt();
}

extern "C" fn ethernet() {
    ethernet::interrupt();
}

extern "C" fn unexpected() {
    panic!("an interrupt came that nobody enabled");
}
