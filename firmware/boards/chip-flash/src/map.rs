//! Where each board has its flash region. Whoever provisions a board writes the records there.

use wasmbed_agent::store::{Area, Geometry};

use crate::{Layout, Piece};

const KIB: u32 = 1_024;

/// [`Geometry::uniform`] as a constant.
const fn uniform(word: u32, unit: u32, log_units: u32, module_units: u32) -> Geometry {
    Geometry {
        word,
        log: Area { address: 0, unit, units: log_units },
        modules: Area { address: unit * log_units, unit, units: module_units },
    }
}

/// nRF52840: pages of 4 KiB. The upper 320 KiB; the program has the 704 KiB below.
pub const NRF52840: Layout = Layout {
    unit: 4 * KIB,
    geometry: uniform(4, 4 * KIB, 8, 69),
    pieces: &[Piece { address: 704 * KIB, unit: 4 * KIB, units: 80 }],
};

/// MK64FN1M0: sectors of 4 KiB, phrases of 8 bytes with ECC. The upper 256 KiB; the program has the 768 KiB below.
pub const MK64F: Layout = Layout {
    unit: 4 * KIB,
    geometry: uniform(8, 4 * KIB, 8, 53),
    pieces: &[Piece { address: 768 * KIB, unit: 4 * KIB, units: 64 }],
};

/// The N25Q128A on the STM32F746G Discovery, mapped to 0x9000_0000: its first MiB, in sectors of 4 KiB.
///
/// Not the chip's own flash: that has four sectors of 32 KiB, the first of which holds the vectors; the rest are 128 and
/// 256 KiB, and with the program in them one is left: too few for two modules, let alone for records and log.
pub const STM32F746G_DISCO: Layout = Layout {
    unit: 4 * KIB,
    geometry: uniform(4, 4 * KIB, 32, 224),
    pieces: &[Piece { address: 0x9000_0000, unit: 4 * KIB, units: 259 }],
};

/// STM32F407VG: sectors of 16 KiB (0 to 3), 64 KiB (4) and 128 KiB (5 to 11).
///
/// | sector | what |
/// |---|---|
/// | 0 | vectors |
/// | 1 | provisioning |
/// | 2 | seed and panic, half each |
/// | 3, 4 | the two halves of the log; of sector 4 its first 16 KiB |
/// | 5 to 9 | the program |
/// | 10, 11 | modules, one each |
///
/// The chip has a random number generator, so a seed that is lost while its sector is erased costs nothing; nor does a panic
/// that was told already. An identity would be lost for good: it has a sector of its own, which the device never erases.
pub const STM32F407: Layout = Layout {
    unit: 8 * KIB,
    geometry: Geometry {
        word: 4,
        log: Area { address: 0, unit: 16 * KIB, units: 2 },
        modules: Area { address: 32 * KIB, unit: 128 * KIB, units: 2 },
    },
    pieces: &[
        Piece { address: 0x0800_4000, unit: 8 * KIB, units: 1 },
        Piece { address: 0x0800_8000, unit: 8 * KIB, units: 2 },
        Piece { address: 0x0800_C000, unit: 16 * KIB, units: 2 },
        Piece { address: 0x080C_0000, unit: 128 * KIB, units: 2 },
    ],
};

/// What erasing a unit of [`STM32F407`] takes: its units are not the chip's sectors everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SectorErase {
    /// First byte of the sector.
    pub begin: u32,
    /// First byte behind it.
    pub end: u32,
    /// A unit in the same sector, whose record is to be there afterwards.
    pub keep: Option<u32>,
}

impl SectorErase {
    /// Most bytes of a record in a unit that is kept.
    pub const KEPT: usize = 544;

    /// What to erase for the unit at this address.
    #[must_use]
    pub const fn of(address: u32) -> Self {
        match address {
            0x0800_4000 => Self { begin: address, end: address + 16 * KIB, keep: None },
            0x0800_8000 => Self { begin: address, end: address + 16 * KIB, keep: Some(0x0800_A000) },
            0x0800_A000 => Self { begin: 0x0800_8000, end: 0x0800_C000, keep: Some(0x0800_8000) },
            0x0801_0000 => Self { begin: address, end: address + 64 * KIB, keep: None },
            0x0800_C000 => Self { begin: address, end: address + 16 * KIB, keep: None },
            _ => Self { begin: address, end: address + 128 * KIB, keep: None },
        }
    }
}
