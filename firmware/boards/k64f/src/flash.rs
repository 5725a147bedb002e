//! The flash region: the upper quarter of the chip's own flash. A sector takes 14 ms to erase (114 at most), a phrase 90 µs to
//! program.
//!
//! The chip reads no block of its flash while it changes it, and the program may reach into the block of the region: so the few
//! instructions that wait lie in RAM, with interrupts disabled.

#![allow(unsafe_code)]

use wasmbed_agent::region::Unit;
use wasmbed_agent::store::FlashError;
use wasmbed_chip_flash::map::MK64F;
use wasmbed_chip_flash::{Chip, ChipFlash};

use crate::flash_command::{Command, PHRASE};
use crate::registers::{FLASH, FLASH_CACHE};

const STATUS: u32 = 0x0;
const COMMAND: u32 = 0x4;
const DONE: u8 = 1 << 7;
/// Access error, protection violation, and that the command failed.
const ERRORS: u8 = 1 << 5 | 1 << 4 | 1;
const CACHE_CONTROL: u32 = 0x4;
/// All ways, the speculation buffer.
const INVALIDATE: u32 = 0xF << 20 | 1 << 19;

/// The chip's flash module.
pub struct Sectors(());

/// The region of this board.
pub type Region = ChipFlash<Sectors>;

pub(crate) fn region() -> Region {
    ChipFlash::new(Sectors(()), MK64F)
}

/// Keeps what a panic said.
pub(crate) fn keep(record: &[u8]) {
    region().keep(Unit::Panic.address(MK64F.unit), record);
}

impl Chip for Sectors {
    fn bytes(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        if !MK64F.contains(address, length) {
            return None;
        }
        // SAFETY: the region is flash and nothing else; who maps it promises that it is not erased while it is used.
        Some(unsafe { core::slice::from_raw_parts(address as *const u8, length as usize) })
    }

    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let (phrases, []) = bytes.as_chunks::<PHRASE>() else { return Err(FlashError::WriteFailed) };
        (address..)
            .step_by(PHRASE)
            .zip(phrases)
            .try_for_each(|(address, phrase)| run(Command::program(address, *phrase)))
    }

    fn erase(&mut self, address: u32, _: u32) -> Result<(), FlashError> {
        run(Command::erase(address))
    }
}

fn run(command: Option<Command>) -> Result<(), FlashError> {
    let Command(words) = command.ok_or(FlashError::WriteFailed)?;
    while FLASH.read_byte(STATUS) & DONE == 0 {}
    FLASH.write_byte(STATUS, ERRORS & !1);
    for (offset, word) in (COMMAND..).step_by(4).zip(words) {
        FLASH.write(offset, word);
    }
    let status = critical_section::with(|_| launch(0x4002_0000 as *mut u8));
    FLASH_CACHE.set(CACHE_CONTROL, INVALIDATE);
    if status & ERRORS == 0 { Ok(()) } else { Err(FlashError::WriteFailed) }
}

/// Launches the command that was written, and waits for it. In RAM, and calls nothing that is not.
#[inline(never)]
#[unsafe(link_section = ".data.flash_launch")]
fn launch(status: *mut u8) -> u8 {
    // SAFETY: the flash module's status register; writing the bit that says it is done launches the command.
    unsafe {
        status.write_volatile(DONE);
        loop {
            let now = status.read_volatile();
            if now & DONE != 0 {
                return now;
            }
        }
    }
}
