//! The interrupts that are used, and their handlers.

#![allow(unsafe_code)]

use cortex_m::peripheral::NVIC;

use crate::{time, uart};

/// A line of the interrupt controller.
#[derive(Clone, Copy)]
pub(crate) enum Line {
    Usart2 = 38,
    Timer5 = 50,
}

// SAFETY: the numbers are below the 82 that the chip has.
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
static __INTERRUPTS: [Handler; 82] = {
    let mut handlers: [Handler; 82] = [unexpected; 82];
    handlers[Line::Usart2 as usize] = usart2;
    handlers[Line::Timer5 as usize] = timer5;
    handlers
};

extern "C" fn usart2() {
    uart::interrupt();
}

extern "C" fn timer5() {
    time::interrupt();
}

extern "C" fn unexpected() {
    panic!("an interrupt came that nobody enabled");
}
