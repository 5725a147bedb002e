//! A microcontroller's own flash as a board's flash region: where it lies, and that it holds what was written.
//!
//! The processor stands still while its flash is erased or programmed, and so does everything else on the device. That is
//! why erasing is not awaited here; links and TCP live with a pause of some seconds, and the watchdog is set to more.

#![no_std]

pub mod map;

use wasmbed_agent::region::UNITS;
use wasmbed_agent::store::{FlashError, Geometry};
use wasmbed_board::flash::Flash;

/// What a chip does with its flash. Addresses are those of the processor.
pub trait Chip {
    /// The bytes where they lie, or none if there are none.
    fn bytes(&self, address: u32, length: u32) -> Option<&'static [u8]>;

    /// Programs whole words that are erased.
    ///
    /// # Errors
    /// The chip says so.
    fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError>;

    /// Erases the unit that begins at this address and has this length in the [`Layout`].
    ///
    /// # Errors
    /// The chip says so.
    fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError>;
}

/// A part of the region that lies in one piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The processor's address of its first byte.
    pub address: u32,
    /// Bytes of one erase unit.
    pub unit: u32,
    /// How many there are.
    pub units: u32,
}

impl Piece {
    /// Its bytes.
    #[must_use]
    pub const fn size(&self) -> u32 {
        self.unit * self.units
    }
}

/// Where the region lies. Its pieces follow each other in the region, wherever they lie in the chip.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    /// Bytes of each of the units before the store.
    pub unit: u32,
    /// How the store's own region is cut.
    pub geometry: Geometry,
    /// The pieces, in their order in the region.
    pub pieces: &'static [Piece],
}

impl Layout {
    /// The processor's address of a byte of the region, if this and those behind it lie in one piece.
    #[must_use]
    pub fn locate(&self, address: u32, length: u32) -> Option<u32> {
        self.find(address, length).map(|(_, at)| at)
    }

    fn find(&self, address: u32, length: u32) -> Option<(Piece, u32)> {
        let mut begin = 0;
        for piece in self.pieces {
            if let Some(offset) = address.checked_sub(begin)
                && offset < piece.size()
            {
                return (length <= piece.size() - offset).then_some((*piece, piece.address + offset));
            }
            begin += piece.size();
        }
        None
    }

    /// Whether bytes at the processor's address belong to the region, in one piece.
    #[must_use]
    pub fn contains(&self, at: u32, length: u32) -> bool {
        self.pieces.iter().any(|piece| {
            at.checked_sub(piece.address)
                .is_some_and(|offset| offset <= piece.size() && length <= piece.size() - offset)
        })
    }

    /// Whether every unit that the records and the store erase is one of a piece: for tests of a board's layout.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let store = UNITS * self.unit;
        let is_unit = |address: u32, unit: u32| {
            self.find(address, unit)
                .is_some_and(|(piece, at)| piece.unit == unit && (at - piece.address).is_multiple_of(unit))
        };
        let records = (0..UNITS).all(|index| is_unit(index * self.unit, self.unit));
        let areas = [self.geometry.log, self.geometry.modules];
        let stores = areas
            .iter()
            .all(|area| (0..area.units).all(|index| is_unit(store + area.address + index * area.unit, area.unit)));
        let size: u32 = self.pieces.iter().map(Piece::size).sum();
        records && stores && self.geometry.check().is_ok() && store + self.geometry.end() == size
    }
}

/// The region on a chip.
pub struct ChipFlash<C> {
    chip: C,
    layout: Layout,
}

impl<C: Chip> ChipFlash<C> {
    /// The region of this layout.
    pub fn new(chip: C, layout: Layout) -> Self {
        Self { chip, layout }
    }

    /// Replaces a record at once, without the heap: the way of the panic handler. `begin` is where its unit begins.
    pub fn keep(&mut self, begin: u32, record: &[u8]) {
        let (Some(at), word) = (self.layout.locate(begin, self.layout.unit), self.layout.geometry.word as usize) else {
            return;
        };
        if self.chip.erase(at, self.layout.unit).is_err() {
            return;
        }
        let mut last = [0xFF; 32];
        let whole = record.len() / word * word;
        let rest = &record[whole..];
        last[..rest.len()].copy_from_slice(rest);
        // Nobody is left to hear of an error.
        let _ = self.chip.program(at, &record[..whole]);
        if !rest.is_empty() {
            let _ = self.chip.program(at + whole as u32, &last[..word]);
        }
    }

    fn bytes(&self, address: u32, length: u32) -> Option<&'static [u8]> {
        self.chip.bytes(self.layout.locate(address, length)?, length)
    }
}

impl<C: Chip> Flash for ChipFlash<C> {
    fn unit(&self) -> u32 {
        self.layout.unit
    }

    fn geometry(&self) -> Geometry {
        self.layout.geometry
    }

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), FlashError> {
        let length = u32::try_from(bytes.len()).map_err(|_| FlashError::Unreadable)?;
        bytes.copy_from_slice(self.bytes(address, length).ok_or(FlashError::Unreadable)?);
        Ok(())
    }

    async fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), FlashError> {
        let length = u32::try_from(bytes.len()).map_err(|_| FlashError::WriteFailed)?;
        let at = self.layout.locate(address, length).ok_or(FlashError::WriteFailed)?;
        self.chip.program(at, bytes)?;
        // Worn flash says nothing, it only holds something else.
        if self.bytes(address, length) == Some(bytes) { Ok(()) } else { Err(FlashError::WriteFailed) }
    }

    async fn erase(&mut self, address: u32, length: u32) -> Result<(), FlashError> {
        let (piece, at) = self.layout.find(address, length).ok_or(FlashError::WriteFailed)?;
        if piece.unit != length || !(at - piece.address).is_multiple_of(length) {
            return Err(FlashError::WriteFailed);
        }
        self.chip.erase(at, length)?;
        let erased = self.bytes(address, length).is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0xFF));
        if erased { Ok(()) } else { Err(FlashError::WriteFailed) }
    }

    fn mapped(&self, address: u32, length: u32) -> Result<&'static [u8], FlashError> {
        self.bytes(address, length).ok_or(FlashError::Unreadable)
    }
}
