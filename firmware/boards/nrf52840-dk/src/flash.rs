//! The flash region: the upper part of the chip's own flash, in pages of 4 KiB and words of 4 bytes.
//!
//! A page takes 85 ms to erase, a word 41 µs to program, and the processor stands still for both.

#![allow(unsafe_code)]

use embassy_nrf::Peri;
use embassy_nrf::nvmc::Nvmc;
use embassy_nrf::peripherals::NVMC;
use embedded_storage::nor_flash::NorFlash;
use wasmbed_agent::region::Unit;
use wasmbed_agent::store::FlashError;
use wasmbed_chip_flash::map::NRF52840;
use wasmbed_chip_flash::{Chip, ChipFlash};

/// The chip's flash controller.
pub(crate) struct Pages(Nvmc<'static>);

impl Chip for Pages {
    fn bytes(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        if !NRF52840.contains(address, length) {
            return None;
        }
        // SAFETY: the region is flash and nothing else; who maps it promises that it is not erased while it is used.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) })
    }

    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.write(address, bytes).map_err(|_| FlashError::WriteFailed)
    }

    fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError> {
        self.0.erase(address, address + length).map_err(|_| FlashError::WriteFailed)
    }
}

/// The region of this board.
pub(crate) type Region = ChipFlash<Pages>;

pub(crate) fn region(controller: Peri<'static, NVMC>) -> Region {
    ChipFlash::new(Pages(Nvmc::new(controller)), NRF52840)
}

/// Keeps what a panic said.
pub(crate) fn keep(record: &[u8]) {
    // SAFETY: whoever used the controller before does so no more.
    let controller = unsafe { NVMC::steal() };
    region(controller).keep(Unit::Panic.address(NRF52840.unit), record);
}
