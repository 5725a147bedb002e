//! Firmware of the FRDM-K64F.
//!
//! **Not seen running**: neither on hardware nor in Renode, whose platform of this chip has no timer (PIT), no flash module and
//! no watchdog.

#![no_std]
#![no_main]

extern crate alloc;

mod lower;

use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use wasmbed_board::device::{self, Board};
use wasmbed_board::probe::Probes;
use wasmbed_board::sliced::{Means, Sliced, applications};
use wasmbed_board::{executor, memory};
use wasmbed_k64f::{K64f, K64fEthernet, Region};

/// Memory of the applications.
const APPLICATIONS: usize = 112 * 1024;
/// 5 ms of a core of 120 MHz.
const SLICE: u32 = 600_000;

static PROBES: Probes = Probes::new();

#[entry]
fn main() -> ! {
    let K64f { mut uart, flash, ethernet, random, pins } = K64f::start(lower::take());
    let memory = cortex_m::singleton!(: [MaybeUninit<u8>; APPLICATIONS] = [MaybeUninit::uninit(); APPLICATIONS]);
    let memory = memory::give(memory.expect("once"));
    let (applications, turns) = applications(Means { memory, pins, growth: false, slice: SLICE }, &PROBES);
    let board = Board {
        name: "FrdmK64f",
        features: &["wasm32", "gpio", "adc", "network"],
        memory: APPLICATIONS as u32,
        flash,
        network: ethernet,
        applications,
        random,
        feed: wasmbed_k64f::feed,
    };
    executor::run(|spawner| spawner.spawn(run(board).expect("it is the only task")), turns, || K64f::pump(&mut uart))
}

#[embassy_executor::task]
async fn run(board: Board<Region, K64fEthernet, Sliced>) {
    device::run(board, &PROBES).await;
}
