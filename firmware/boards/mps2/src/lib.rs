//! The peripherals of ARM's MPS2 FPGA images AN385, AN386 and AN500, as QEMU emulates them, and the device they make.

#![no_std]

extern crate alloc;

mod ethernet;
mod interrupts;
mod pins;
mod psram;
mod registers;
mod time;
mod uart;
mod watchdog;

use core::mem::MaybeUninit;

use wasmbed_agent::region::Unit;
use wasmbed_board::device::{self, Board};
use wasmbed_board::emergency::{self, Emergency};
use wasmbed_board::probe::Probes;
use wasmbed_board::sliced::{Means, Sliced, applications};
use wasmbed_board::{console, executor, heap, memory};

use ethernet::Mps2Ethernet;
use psram::{Psram, PsramFlash};
use uart::Uart;

/// Bytes of the agent's heap: TLS, session, the mirror of the store's log.
const HEAP: usize = 64 * 1024;
/// Applications' memory in the PSRAM: begin, from the PSRAM's start, and bytes.
const APPLICATIONS: (usize, usize) = (4 << 20, 8 << 20);
/// 5 ms of a core of 25 MHz.
const SLICE: u32 = 125_000;
/// `memory.grow` copies, for which there is room here.
const FEATURES: &[&str] = &["wasm32", "gpio", "adc-simulated", "network"];

/// Where the images differ.
#[derive(Debug, Clone, Copy)]
pub enum Image {
    /// Cortex-M3.
    An385,
    /// Cortex-M4 with FPU.
    An386,
    /// Cortex-M7.
    An500,
}

impl Image {
    const fn name(self) -> &'static str {
        match self {
            Self::An385 => "Mps2An385",
            Self::An386 => "Mps2An386",
            Self::An500 => "Mps2An500",
        }
    }

    const fn psram(self) -> usize {
        match self {
            Self::An385 | Self::An386 => 0x2100_0000,
            Self::An500 => 0x6000_0000,
        }
    }

    fn ethernet(self) -> Mps2Ethernet {
        match self {
            Self::An385 | Self::An386 => ethernet::at::<0x4020_0000>(),
            Self::An500 => ethernet::at::<0xA000_0000>(),
        }
    }

    fn emergency(self) -> &'static dyn Emergency {
        match self {
            Self::An385 => &Reset(Self::An385),
            Self::An386 => &Reset(Self::An386),
            Self::An500 => &Reset(Self::An500),
        }
    }
}

static PROBES: Probes = Probes::new();

/// Starts the board and runs the device, for ever. To be called once, first of all.
pub fn run(image: Image) -> ! {
    let memory = cortex_m::singleton!(: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP]);
    heap::give(memory.expect("nothing else runs before this"));
    emergency::on(image.emergency());
    time::start();
    watchdog::start();
    let mut uart = Uart::start();
    // SAFETY: the image has PSRAM there, and the linker script gives none of it to anything else.
    #[allow(unsafe_code)]
    let (psram, memory) = unsafe { (Psram::at(image.psram()), psram::piece(image.psram(), APPLICATIONS)) };
    let means = Means { memory: memory::give(memory), pins: pins::PINS, growth: true, slice: SLICE };
    let (applications, turns) = applications(means, &PROBES);
    let board = Board {
        name: image.name(),
        features: FEATURES,
        memory: APPLICATIONS.1 as u32,
        flash: PsramFlash::new(psram),
        network: image.ethernet(),
        applications,
        random: None,
        feed: watchdog::feed,
    };
    executor::run(
        |spawner| spawner.spawn(device(board).expect("it is the only task")),
        turns,
        || console::pump(&mut uart),
    )
}

#[embassy_executor::task]
async fn device(board: Board<PsramFlash, Mps2Ethernet, Sliced>) {
    device::run(board, &PROBES).await;
}

/// What an MPS2 board does when nothing can go on.
struct Reset(Image);

impl Emergency for Reset {
    fn print(&self, text: &str) {
        uart::print(text);
    }

    fn keep(&self, record: &[u8]) {
        // SAFETY: as in `run`; whoever else wrote there does so no more.
        #[allow(unsafe_code)]
        let mut psram = unsafe { Psram::at(self.0.psram()) };
        psram.keep(Unit::Panic, record);
    }

    fn reset(&self) -> ! {
        cortex_m::peripheral::SCB::sys_reset()
    }
}
