//! Serial NOR flash (N25Q128A and its relatives: sectors of 4 KiB, pages of 256 bytes) on a controller that maps it into memory.
//!
//! What is here is the flash's protocol, which is the same behind every controller, and is tested against a model of the
//! flash on the host. While it erases or programs the flash cannot be read, so applications whose modules lie in it stand
//! still: nothing is awaited.

#![no_std]

use wasmbed_agent::store::FlashError;
use wasmbed_chip_flash::Chip;

/// Bytes that one command programs; beyond them it begins again at the page's start.
pub const PAGE: u32 = 256;
/// Bytes of the smallest unit that can be erased.
pub const SECTOR: u32 = 4_096;

const WRITE_ENABLE: u8 = 0x06;
const READ_STATUS: u8 = 0x05;
const READ_IDENTIFICATION: u8 = 0x9F;
const PAGE_PROGRAM: u8 = 0x02;
const SECTOR_ERASE: u8 = 0x20;
const CLEAR_FLAGS: u8 = 0x50;
const READ_FLAGS: u8 = 0x70;

const IN_PROGRESS: u8 = 1;
const ENABLED: u8 = 1 << 1;
/// Of the flags: erase failed, program failed, protected.
const FAILED: u8 = 1 << 5 | 1 << 4 | 1 << 1;
/// How often the status is read before the flash counts as stuck: an erase takes 0.8 s at most, and a reading of the status 1 µs
/// at least.
const PATIENCE: u32 = 4_000_000;

/// A controller with the flash behind it. Addresses are those of the flash, of 24 bits.
pub trait Controller {
    /// Sends a command alone, or with an address.
    fn command(&mut self, instruction: u8, address: Option<u32>);

    /// Sends a command and reads what it answers.
    fn read(&mut self, instruction: u8, answer: &mut [u8]);

    /// Sends a command with an address and bytes.
    fn write(&mut self, instruction: u8, address: u32, bytes: &[u8]);

    /// Ends the mapping, so that commands can be sent.
    fn unmap(&mut self);

    /// Maps the flash into memory again; what was read before is read anew.
    fn map(&mut self);

    /// The bytes where they are mapped, or none if there are none.
    fn mapped(&self, address: u32, length: u32) -> Option<&'static [u8]>;
}

/// The flash is not the one the board has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unknown(pub [u8; 3]);

impl core::fmt::Display for Unknown {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [maker, kind, size] = self.0;
        write!(
            f,
            "the flash on the quad SPI says {maker:02x} {kind:02x} {size:02x}: it is not there, or not a NOR flash of 4 KiB sectors"
        )
    }
}

impl core::error::Error for Unknown {}

/// The flash, mapped into memory at `base`.
pub struct QuadNor<C> {
    controller: C,
    base: u32,
}

impl<C: Controller> QuadNor<C> {
    /// The flash behind this controller.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn start(mut controller: C, base: u32) -> Result<Self, Unknown> {
        controller.unmap();
        let mut identification = [0; 3];
        controller.read(READ_IDENTIFICATION, &mut identification);
        // All bits alike are a line without anybody on it.
        if [[0; 3], [0xFF; 3]].contains(&identification) {
            return Err(Unknown(identification));
        }
        controller.map();
        Ok(Self { controller, base })
    }

    fn change(&mut self, send: impl FnOnce(&mut C)) -> Result<(), FlashError> {
        self.controller.unmap();
        let result = self.run(send);
        self.controller.map();
        result
    }

    fn run(&mut self, send: impl FnOnce(&mut C)) -> Result<(), FlashError> {
        self.controller.command(CLEAR_FLAGS, None);
        self.controller.command(WRITE_ENABLE, None);
        // A flash that is protected by its pin, or not there, does not enable.
        if self.register(READ_STATUS) & ENABLED == 0 {
            return Err(FlashError::WriteFailed);
        }
        send(&mut self.controller);
        let done = (0..PATIENCE).any(|_| self.register(READ_STATUS) & IN_PROGRESS == 0);
        if done && self.register(READ_FLAGS) & FAILED == 0 { Ok(()) } else { Err(FlashError::WriteFailed) }
    }

    fn register(&mut self, instruction: u8) -> u8 {
        let mut value = [0xFF];
        self.controller.read(instruction, &mut value);
        value[0]
    }
}

impl<C: Controller> Chip for QuadNor<C> {
    fn bytes(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        self.controller.mapped(address.checked_sub(self.base)?, length)
    }

    fn program(&mut self, address: u32, mut bytes: &[u8]) -> Result<(), FlashError> {
        let mut address = address.checked_sub(self.base).ok_or(FlashError::WriteFailed)?;
        while !bytes.is_empty() {
            let (page, rest) = bytes.split_at(bytes.len().min((PAGE - address % PAGE) as usize));
            self.change(|controller| controller.write(PAGE_PROGRAM, address, page))?;
            address += page.len() as u32;
            bytes = rest;
        }
        Ok(())
    }

    fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError> {
        let begin = address.checked_sub(self.base).ok_or(FlashError::WriteFailed)?;
        (begin..begin + length)
            .step_by(SECTOR as usize)
            .try_for_each(|sector| self.change(|controller| controller.command(SECTOR_ERASE, Some(sector))))
    }
}
