//! Firmware for QEMU's netduinoplus2 (STM32F405): how the STM32F4 Discovery is emulated.
//!
//! QEMU's chip has no clock tree, no random number generator, no watchdog, no pins and only ROM as flash. So the region lies in
//! RAM and is volatile, the seed comes from the emulator at every start, and what hangs is not reset. Nothing else is different:
//! the link, the agent and the applications are those of hardware.

#![no_std]
#![no_main]

extern crate alloc;

mod interrupts;
mod region;
mod registers;
mod time;
mod uart;
mod upper;

use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use wasmbed_board::device::{self, Board};
use wasmbed_board::emergency::{self, Emergency};
use wasmbed_board::pins::{Kind, Pin, triangle};
use wasmbed_board::probe::Probes;
use wasmbed_board::sliced::{Means, Sliced, applications};
use wasmbed_board::{console, executor, heap, memory};
use wasmbed_serial::SerialLink;

use region::VolatileFlash;
use uart::{Log, Receiver, Sender};

/// Memory of the agent: TLS, session, mirror of the store's log.
const HEAP: usize = 64 * 1024;

/// 5 ms of a core of 168 MHz.
const SLICE: u32 = 840_000;

/// QEMU's chip has no pins, and no converter: what applications read is simulated, as the device's features say.
static PINS: &[Pin] = &[Pin { name: "adc0", kind: Kind::Simulated(triangle) }];

static PROBES: Probes = Probes::new();

#[entry]
fn main() -> ! {
    let memory = cortex_m::singleton!(: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP]).expect("once");
    heap::give(memory);
    emergency::on(&Reset);
    time::start();
    let flash = VolatileFlash::new();
    let (receiver, sender) = uart::link();
    let memory = memory::give(upper::take());
    let (applications, turns) = applications(Means { memory, pins: PINS, growth: false, slice: SLICE }, &PROBES);
    let board = Board {
        name: "Stm32F4Disco",
        features: &["wasm32", "adc-simulated"],
        memory: upper::SIZE as u32,
        flash,
        network: SerialLink::new(receiver, sender),
        applications,
        random: None,
        // There is no watchdog.
        feed: || {},
    };
    let mut log = Log::start();
    executor::run(|spawner| spawner.spawn(run(board).expect("it is the only task")), turns, || console::pump(&mut log))
}

#[embassy_executor::task]
async fn run(board: Board<VolatileFlash, SerialLink<Receiver, Sender>, Sliced>) {
    device::run(board, &PROBES).await;
}

/// What is done when nothing can go on.
struct Reset;

impl Emergency for Reset {
    fn print(&self, text: &str) {
        uart::print(text);
    }

    /// RAM does not outlive QEMU, which the reset ends.
    fn keep(&self, _: &[u8]) {}

    fn reset(&self) -> ! {
        cortex_m::peripheral::SCB::sys_reset()
    }
}
