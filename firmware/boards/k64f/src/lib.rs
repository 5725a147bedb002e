//! The peripherals of the MK64FN1M0 (Cortex-M4F at 120 MHz) on the FRDM-K64F.
//!
//! No HAL of Embassy's serves this chip and the register crates there are have not moved for years, so the few registers that
//! are needed stand here, by the reference manual (K64P144M120SF5RM).
//!
//! What can be told without the chip is tested on the host: the Ethernet controller ([`enet`]) against a model of it, the flash
//! commands by their bytes. **Not seen running**: neither on hardware nor in Renode.

#![no_std]

extern crate alloc;

pub mod enet;
pub mod flash_command;

#[cfg(target_os = "none")]
mod board;
#[cfg(target_os = "none")]
mod clock;
#[cfg(target_os = "none")]
mod ethernet;
#[cfg(target_os = "none")]
mod flash;
#[cfg(target_os = "none")]
mod interrupts;
#[cfg(target_os = "none")]
mod pins;
#[cfg(target_os = "none")]
mod random;
#[cfg(target_os = "none")]
mod registers;
#[cfg(target_os = "none")]
mod time;
#[cfg(target_os = "none")]
mod uart;
#[cfg(target_os = "none")]
mod watchdog;

#[cfg(target_os = "none")]
pub use board::K64f;
#[cfg(target_os = "none")]
pub use ethernet::K64fEthernet;
#[cfg(target_os = "none")]
pub use flash::Region;
#[cfg(target_os = "none")]
pub use uart::Uart;
#[cfg(target_os = "none")]
pub use watchdog::feed;
