//! Firmware of the nRF52840 DK, and of the Arduino Nano 33 BLE (whose Renode platform has the same chip).
//!
//! The link is UARTE0 at 115,200 baud, which the DK's debugger shows as a serial port (P0.06 out, P0.08 in). There is no
//! second one for the log, so it goes over the link's own channel, to `wasmbed link` and `wasmbed logs --uart`.
//!
//! **Not seen running**: neither on hardware nor in Renode. It is written by the data sheet and the HAL's documentation.

#![no_std]
#![no_main]

extern crate alloc;

mod flash;
mod pins;
mod watchdog;

use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use embassy_nrf::buffered_uarte::{self, BufferedUarte, BufferedUarteRx, BufferedUarteTx};
use embassy_nrf::config::HfclkSource;
use embassy_nrf::rng::Rng;
use embassy_nrf::{bind_interrupts, peripherals, saadc, uarte};
use wasmbed_board::device::{self, Board};
use wasmbed_board::emergency::{self, Emergency};
use wasmbed_board::probe::Probes;
use wasmbed_board::sliced::{Means, Sliced, applications};
use wasmbed_board::{console, executor, heap, memory};
use wasmbed_serial::{LinkLog, SerialLink};

use flash::Region;

/// Memory of the agent: TLS, session, mirror of the store's log.
const HEAP: usize = 64 * 1024;
/// Memory of the applications.
const APPLICATIONS: usize = 112 * 1024;
/// 5 ms of a core of 64 MHz.
const SLICE: u32 = 320_000;
/// Bytes that the link's UART holds while the device does something else. An erase of 85 ms is 980 bytes of them.
const RECEIVE: usize = 2_048;
/// Room for two frames.
const SEND: usize = 512;

static PROBES: Probes = Probes::new();
static LOG: LinkLog = LinkLog::new();

bind_interrupts!(struct Irqs {
    SAADC => saadc::InterruptHandler;
    UARTE0 => buffered_uarte::InterruptHandler<peripherals::UARTE0>;
});

type Link = SerialLink<BufferedUarteRx<'static>, BufferedUarteTx<'static>>;

#[entry]
fn main() -> ! {
    let memory = cortex_m::singleton!(: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP]).expect("once");
    let applications_memory =
        cortex_m::singleton!(: [MaybeUninit<u8>; APPLICATIONS] = [MaybeUninit::uninit(); APPLICATIONS]).expect("once");
    let receive = cortex_m::singleton!(: [u8; RECEIVE] = [0; RECEIVE]).expect("once");
    let send = cortex_m::singleton!(: [u8; SEND] = [0; SEND]).expect("once");
    heap::give(memory);
    emergency::on(&Reset);
    let mut config = embassy_nrf::config::Config::default();
    // A UART by the internal oscillator may be off by too much.
    config.hfclk_source = HfclkSource::ExternalXtal;
    let chip = embassy_nrf::init(config);
    watchdog::start(chip.WDT);

    let mut random = [0; 32];
    let mut generator = Rng::new_blocking(chip.RNG);
    // Slower, and without the bias that the generator has by itself.
    generator.set_bias_correction(true);
    generator.blocking_fill_bytes(&mut random);

    let uart = BufferedUarte::new(
        chip.UARTE0,
        chip.TIMER1,
        chip.PPI_CH0,
        chip.PPI_CH1,
        chip.PPI_GROUP0,
        chip.P0_08,
        chip.P0_06,
        Irqs,
        uarte::Config::default(),
        receive,
        send,
    );
    let (receiver, sender) = uart.split();
    let means = Means {
        memory: memory::give(applications_memory),
        pins: pins::start(chip.P0_13, chip.P0_14, chip.P0_11, chip.SAADC, chip.P0_02, Irqs),
        growth: false,
        slice: SLICE,
    };
    let (applications, turns) = applications(means, &PROBES);
    let board = Board {
        name: "Nrf52840DK",
        features: &["wasm32", "gpio", "adc"],
        memory: APPLICATIONS as u32,
        flash: flash::region(chip.NVMC),
        network: SerialLink::new(receiver, sender).with_log(&LOG),
        applications,
        random: Some(random),
        feed: watchdog::feed,
    };
    executor::run(|spawner| spawner.spawn(run(board).expect("it is the only task")), turns, || console::pump(&mut &LOG))
}

#[embassy_executor::task]
async fn run(board: Board<Region, Link, Sliced>) {
    device::run(board, &PROBES).await;
}

/// What is done when nothing can go on.
struct Reset;

impl Emergency for Reset {
    /// The only UART is the link's, where text that is no frame helps nobody: what is kept in flash is told after the reset.
    fn print(&self, _: &str) {}

    fn keep(&self, record: &[u8]) {
        flash::keep(record);
    }

    fn reset(&self) -> ! {
        cortex_m::peripheral::SCB::sys_reset()
    }
}
