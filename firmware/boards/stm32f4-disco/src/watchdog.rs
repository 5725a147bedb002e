//! The independent watchdog: eight seconds without a feeding are a reset. An erase takes two at most.

use embassy_stm32::Peri;
use embassy_stm32::pac;
use embassy_stm32::peripherals::IWDG;
use embassy_stm32::wdg::IndependentWatchdog;

const EIGHT_SECONDS: u32 = 8_000_000;

pub(crate) fn start(watchdog: Peri<'static, IWDG>) {
    IndependentWatchdog::new(watchdog, EIGHT_SECONDS).unleash();
}

/// Starts its time anew.
pub(crate) fn feed() {
    pac::IWDG.kr().write(|key| key.set_key(pac::iwdg::vals::Key::RESET));
}
