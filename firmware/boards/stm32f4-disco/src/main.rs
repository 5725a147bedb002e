//! Firmware of the STM32F4 Discovery (STM32F407VG).
//!
//! The link is USART2 at 115,200 baud on PA2 (out) and PA3 (in), to which a USB serial adapter is wired: the board's debugger
//! has no serial port. The log goes over the link's own channel, to `wasmbed link` and `wasmbed logs --uart`.
//!
//! **Not seen running**: neither on hardware nor in Renode. What QEMU can emulate of it is `netduinoplus2`.

#![no_std]
#![no_main]

extern crate alloc;

mod ccm;
mod flash;
mod pins;
mod watchdog;

use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use embassy_stm32::rcc::{
    AHBPrescaler, APBPrescaler, Hse, HseMode, Pll, PllMul, PllPDiv, PllPreDiv, PllQDiv, PllSource, Sysclk,
};
use embassy_stm32::rng::{self, Rng};
use embassy_stm32::time::Hertz;
use embassy_stm32::usart::{self, BufferedUart, BufferedUartRx, BufferedUartTx};
use embassy_stm32::{bind_interrupts, peripherals};
use wasmbed_board::device::{self, Board};
use wasmbed_board::emergency::{self, Emergency};
use wasmbed_board::probe::Probes;
use wasmbed_board::sliced::{Means, Sliced, applications};
use wasmbed_board::{console, executor, heap, memory};
use wasmbed_serial::{LinkLog, SerialLink};

use flash::Region;

/// Memory of the applications.
const APPLICATIONS: usize = 72 * 1024;
/// 5 ms of a core of 168 MHz.
const SLICE: u32 = 840_000;
/// Bytes that the link's UART holds while the device does something else.
const RECEIVE: usize = 2_048;
/// Room for two frames.
const SEND: usize = 512;

static PROBES: Probes = Probes::new();
static LOG: LinkLog = LinkLog::new();

bind_interrupts!(struct Irqs {
    RNG => rng::InterruptHandler<peripherals::RNG>;
    USART2 => usart::BufferedInterruptHandler<peripherals::USART2>;
});

type Link = SerialLink<BufferedUartRx<'static>, BufferedUartTx<'static>>;

#[entry]
fn main() -> ! {
    let applications_memory =
        cortex_m::singleton!(: [MaybeUninit<u8>; APPLICATIONS] = [MaybeUninit::uninit(); APPLICATIONS]).expect("once");
    let receive = cortex_m::singleton!(: [u8; RECEIVE] = [0; RECEIVE]).expect("once");
    let send = cortex_m::singleton!(: [u8; SEND] = [0; SEND]).expect("once");
    emergency::on(&Reset);
    let chip = embassy_stm32::init(clocks());
    heap::give(ccm::take());
    watchdog::start(chip.IWDG);

    let mut random = [0; 32];
    Rng::new(chip.RNG, Irqs).fill_bytes(&mut random);
    #[cfg(feature = "emulated-entropy")]
    assert!(wasmbed_emulated_entropy::is_trusted());

    let uart = BufferedUart::new(chip.USART2, chip.PA3, chip.PA2, send, receive, Irqs, usart::Config::default())
        .expect("115,200 baud can be had of this clock");
    let (sender, receiver) = uart.split();
    let means = Means {
        memory: memory::give(applications_memory),
        pins: pins::start(chip.PD12, chip.PD13, chip.PA0, chip.ADC1, chip.PA1),
        growth: false,
        slice: SLICE,
    };
    let (applications, turns) = applications(means, &PROBES);
    let board = Board {
        name: "Stm32F4Disco",
        features: &["wasm32", "gpio", "adc"],
        memory: APPLICATIONS as u32,
        flash: flash::region(chip.FLASH),
        network: SerialLink::new(receiver, sender).with_log(&LOG),
        applications,
        random: Some(random),
        feed: watchdog::feed,
    };
    executor::run(|spawner| spawner.spawn(run(board).expect("it is the only task")), turns, || console::pump(&mut &LOG))
}

/// 168 MHz of the crystal of 8 MHz, and 48 MHz for the random number generator.
fn clocks() -> embassy_stm32::Config {
    let mut config = embassy_stm32::Config::default();
    config.rcc.hse = Some(Hse { freq: Hertz(8_000_000), mode: HseMode::Oscillator });
    config.rcc.pll_src = PllSource::HSE;
    config.rcc.pll = Some(Pll {
        prediv: PllPreDiv::DIV4,
        mul: PllMul::MUL168,
        divp: Some(PllPDiv::DIV2),
        divq: Some(PllQDiv::DIV7),
        divr: None,
    });
    config.rcc.ahb_pre = AHBPrescaler::DIV1;
    config.rcc.apb1_pre = APBPrescaler::DIV4;
    config.rcc.apb2_pre = APBPrescaler::DIV2;
    config.rcc.sys = Sysclk::PLL1_P;
    config
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
