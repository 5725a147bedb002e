//! Firmware of the STM32F746G Discovery.
//!
//! **Not seen running**: neither on hardware nor in Renode, whose platform of this chip has no quad SPI controller and no timer
//! that this firmware uses.

#![no_std]
#![no_main]

extern crate alloc;

mod ethernet;
mod flash;
mod log;
mod pins;
mod watchdog;

use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllQDiv, PllSource, Sysclk,
};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::time::Hertz;
use embassy_stm32::{bind_interrupts, eth, peripherals};
use wasmbed_board::device::{self, Board};
use wasmbed_board::emergency::{self, Emergency};
use wasmbed_board::probe::Probes;
use wasmbed_board::sliced::{Means, Sliced, applications};
use wasmbed_board::{console, executor, heap, memory};

use ethernet::BoardEthernet;
use flash::Region;
use log::Log;

/// Memory of the agent: TLS, session, mirror of the store's log.
const HEAP: usize = 64 * 1024;
/// Memory of the applications.
const APPLICATIONS: usize = 144 * 1024;
/// 5 ms of a core of 216 MHz.
const SLICE: u32 = 1_080_000;

static PROBES: Probes = Probes::new();

bind_interrupts!(struct Irqs {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<peripherals::RNG>;
    USART1 => log::Wake;
});

#[entry]
fn main() -> ! {
    let memory = cortex_m::singleton!(: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP]).expect("once");
    let applications_memory =
        cortex_m::singleton!(: [MaybeUninit<u8>; APPLICATIONS] = [MaybeUninit::uninit(); APPLICATIONS]).expect("once");
    heap::give(memory);
    emergency::on(&Reset);
    if let Some(mut core) = cortex_m::Peripherals::take() {
        // The one for data stays off: the Ethernet's DMA would not see what is in it.
        core.SCB.enable_icache();
    }
    let chip = embassy_stm32::init(clocks());
    watchdog::start(chip.IWDG);
    let mut log = Log::start(chip.USART1, chip.PA9);

    let mut random = [0; 32];
    Rng::new(chip.RNG, Irqs).fill_bytes(&mut random);

    let lines = (chip.PD11, chip.PD12, chip.PE2, chip.PD13, chip.PB2, chip.PB6);
    let flash = match flash::region(chip.QUADSPI, lines) {
        Ok(region) => region,
        Err(unknown) => emergency::end(format_args!("no flash region: {unknown}")),
    };
    let pins = pins::start(chip.PI1, chip.PI11, chip.ADC1, chip.PA0);
    let means = Means { memory: memory::give(applications_memory), pins, growth: false, slice: SLICE };
    let (applications, turns) = applications(means, &PROBES);
    let board = Board {
        name: "Stm32F746gDisco",
        features: &["wasm32", "gpio", "adc", "network"],
        memory: APPLICATIONS as u32,
        flash,
        network: ethernet::new(),
        applications,
        random: Some(random),
        feed: watchdog::feed,
    };
    executor::run(|spawner| spawner.spawn(run(board).expect("it is the only task")), turns, || console::pump(&mut log))
}

/// 216 MHz of the oscillator of 25 MHz, and 48 MHz for the random number generator.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    config.rcc.hse = Some(Hse { freq: Hertz(25_000_000), mode: HseMode::Bypass });
    config.rcc.pll_src = PllSource::HSE;
    config.rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV25,
        mul: PllMul::MUL432,
        divp: Some(PllPDiv::DIV2),
        divq: Some(PllQDiv::DIV9),
        divr: None,
    });
    config.rcc.ahb_pre = AHBPrescaler::DIV1;
    config.rcc.apb1_pre = APBPrescaler::DIV4;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.sys = Sysclk::PLL1_P;
    config
}

#[embassy_executor::task]
async fn run(board: Board<Region, BoardEthernet, Sliced>) {
    device::run(board, &PROBES).await;
}

/// What is done when nothing can go on.
struct Reset;

impl Emergency for Reset {
    fn print(&self, text: &str) {
        log::print(text);
    }

    fn keep(&self, record: &[u8]) {
        flash::keep(record);
    }

    fn reset(&self) -> ! {
        cortex_m::peripheral::SCB::sys_reset()
    }
}
