//! The board as it starts.

use core::mem::MaybeUninit;

use wasmbed_agent::Level;
use wasmbed_board::emergency::{self, Emergency};
use wasmbed_board::pins::Pin;
use wasmbed_board::{console, heap};

use crate::ethernet::{self, K64fEthernet};
use crate::flash::{self, Region};
use crate::uart::{self, Uart};
use crate::{clock, pins, random, time};

/// A started board.
pub struct K64f {
    /// The log's way out.
    pub uart: Uart,
    /// The persistent region.
    pub flash: Region,
    /// The network.
    pub ethernet: K64fEthernet,
    /// The pins that applications use.
    pub pins: &'static [Pin],
    /// Bytes of the random number generator, if it works.
    pub random: Option<[u8; 32]>,
}

impl K64f {
    /// Starts the peripherals; to be called once, first of all. `memory` becomes the agent's heap.
    pub fn start(memory: &'static mut [MaybeUninit<u8>]) -> Self {
        heap::give(memory);
        emergency::on(&Reset);
        let is_clocked = clock::start();
        time::start();
        let uart = Uart::start();
        if !is_clocked {
            console::line(Level::Error, None, "the Ethernet's PHY gives no clock: the processor runs by its own");
        }
        Self { uart, flash: flash::region(), ethernet: ethernet::new(), pins: pins::start(), random: random::seed() }
    }

    /// Writes out what waits in the log.
    pub fn pump(uart: &mut Uart) {
        console::pump(uart);
    }
}

/// What is done when nothing can go on.
struct Reset;

impl Emergency for Reset {
    fn print(&self, text: &str) {
        uart::print(text);
    }

    fn keep(&self, record: &[u8]) {
        flash::keep(record);
    }

    fn reset(&self) -> ! {
        cortex_m::peripheral::SCB::sys_reset()
    }
}
