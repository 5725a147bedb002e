//! The watchdog: eight seconds without a feeding are a reset.

use embassy_nrf::Peri;
use embassy_nrf::peripherals::WDT;
use embassy_nrf::wdt::{Config, HaltConfig, Watchdog, WatchdogHandle};

/// Of a clock of 32,768 Hz.
const EIGHT_SECONDS: u32 = 8 * 32_768;

pub(crate) fn start(watchdog: Peri<'static, WDT>) {
    let mut config = Config::default();
    config.timeout_ticks = EIGHT_SECONDS;
    // A person at a debugger takes longer.
    config.action_during_debug_halt = HaltConfig::Pause;
    if let Ok((_, [mut handle])) = Watchdog::try_new(watchdog, config) {
        handle.pet();
    }
    // Otherwise it runs already, set by a boot loader: it is fed all the same.
}

/// Starts its time anew.
pub(crate) fn feed() {
    // SAFETY: `start` has set up the first handle, or nothing runs that a write could harm.
    #[allow(unsafe_code)]
    let mut handle = unsafe { WatchdogHandle::steal::<WDT>(0) };
    handle.pet();
}
