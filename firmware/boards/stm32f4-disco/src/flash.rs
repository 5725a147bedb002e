//! The flash region: sectors of the chip's own flash, which are uneven; `wasmbed_chip_flash::map` says where.
//!
//! A sector of 16 KiB takes half a second to erase, one of 128 KiB two at most, and the processor stands still for it.

#![allow(unsafe_code)]

use embassy_stm32::Peri;
use embassy_stm32::flash::{Blocking, FLASH_BASE, Flash};
use embassy_stm32::peripherals::FLASH;
use wasmbed_agent::region::Unit;
use wasmbed_agent::store::FlashError;
use wasmbed_chip_flash::map::{STM32F407, SectorErase};
use wasmbed_chip_flash::{Chip, ChipFlash};

const BASE: u32 = FLASH_BASE as u32;
const WORD: usize = 4;

/// The chip's flash controller.
pub(crate) struct Sectors(Flash<'static, Blocking>);

impl Chip for Sectors {
    fn bytes(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        if !STM32F407.contains(address, length) {
            return None;
        }
        // SAFETY: the region is flash and nothing else; who maps it promises that it is not erased while it is used.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) })
    }

    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        self.0.blocking_write(address - BASE, bytes).map_err(|_| FlashError::WriteFailed)
    }

    fn erase(&mut self, address: u32, _: u32) -> Result<(), FlashError> {
        let SectorErase { begin, end, keep } = SectorErase::of(address);
        let mut kept = [0xFF; SectorErase::KEPT];
        if let Some(bytes) = keep.and_then(|keep| self.bytes(keep, SectorErase::KEPT as u32)) {
            kept.copy_from_slice(bytes);
        }
        self.0.blocking_erase(begin - BASE, end - BASE).map_err(|_| FlashError::WriteFailed)?;
        if let Some(keep) = keep {
            // What is erased stays so: it may be programmed later.
            let words = kept.rchunks(WORD).position(|word| *word != [0xFF; WORD]);
            let length = words.map_or(0, |erased| kept.len() - erased * WORD);
            self.program(keep, &kept[..length])?;
        }
        Ok(())
    }
}

/// The region of this board.
pub(crate) type Region = ChipFlash<Sectors>;

pub(crate) fn region(controller: Peri<'static, FLASH>) -> Region {
    ChipFlash::new(Sectors(Flash::new_blocking(controller)), STM32F407)
}

/// Keeps what a panic said.
pub(crate) fn keep(record: &[u8]) {
    // SAFETY: whoever used the controller before does so no more.
    let controller = unsafe { FLASH::steal() };
    region(controller).keep(Unit::Panic.address(STM32F407.unit), record);
}
