//! The Ethernet: the chip's controller by RMII to a LAN8742.

use core::convert::Infallible;

use embassy_stm32::eth::{Ethernet as Mac, GenericPhy, PacketQueue, Sma};
use embassy_stm32::peripherals::{ETH, ETH_SMA};
use wasmbed_board::ethernet::Ethernet;

use crate::Irqs;

/// Frames that may wait to be sent, and to be looked at.
type Queue = PacketQueue<2, 4>;
type Controller = Mac<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

/// The board's Ethernet, for the device to start.
pub(crate) type BoardEthernet = Ethernet<fn([u8; 6]) -> Result<Controller, Infallible>>;

pub(crate) fn new() -> BoardEthernet {
    Ethernet::new(start)
}

/// Called once, by the device; the pins are taken by nobody else. Without the PHY's clock the controller does not come out of its
/// reset, and the watchdog goes on trying.
fn start(hardware_address: [u8; 6]) -> Result<Controller, Infallible> {
    let queue = cortex_m::singleton!(: Queue = Queue::new()).expect("the Ethernet is started once");
    // SAFETY: `main` takes none of the peripherals that are used here.
    #[allow(unsafe_code)]
    let chip = unsafe { embassy_stm32::Peripherals::steal() };
    Ok(Mac::new(
        queue,
        chip.ETH,
        Irqs,
        chip.PA1,
        chip.PA7,
        chip.PC4,
        chip.PC5,
        chip.PG13,
        chip.PG14,
        chip.PG11,
        hardware_address,
        chip.ETH_SMA,
        chip.PA2,
        chip.PC1,
    ))
}
