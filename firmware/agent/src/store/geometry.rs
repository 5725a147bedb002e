use thiserror::Error;

/// How the flash region of a store is cut into erase units.
///
/// Addresses count from the start of the region; the platform adds where the region lies. The log and the modules may
/// lie in erase units of different size, as chips with uneven sectors have them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes that are programmed together: 4, 8, 16 or 32. On chips that correct errors (ECC) this is the phrase or
    /// row; the store never programs a word twice between two erases.
    pub word: u32,
    /// Where the log lies: an even number of units, half of them used at a time.
    pub log: Area,
    /// Where the modules lie.
    pub modules: Area,
}

/// A run of erase units of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// First byte, from the start of the store's region.
    pub address: u32,
    /// Bytes of one erase unit.
    pub unit: u32,
    /// How many units follow each other.
    pub units: u32,
}

/// Why a declared geometry cannot hold a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GeometryError {
    /// The word is none of the sizes the store can work with.
    #[error("a flash word of {0} bytes is not supported: declare 4, 8, 16 or 32")]
    Word(u32),
    /// A unit is not a whole number of words.
    #[error("an erase unit of {unit} bytes is not a multiple of the word of {word} bytes")]
    Unit {
        /// Bytes of the unit.
        unit: u32,
        /// Bytes of the word.
        word: u32,
    },
    /// The log's units cannot be split in two halves.
    #[error("the log has {0} erase units: declare 2, 4, 6, ...")]
    OddLog(u32),
    /// A half of the log is too small to be of use.
    #[error("a half of the log has {0} bytes: declare units so that it has at least {MINIMUM_HALF}")]
    SmallLog(u32),
    /// There is no room for any module.
    #[error("no erase unit is declared for modules")]
    NoModules,
    /// Log and modules share bytes, or an area leaves the 32-bit address space.
    #[error("the areas of the log and of the modules overlap or exceed 4 GiB")]
    Overlap,
}

/// The smallest half of a log that holds what every device has to remember.
pub const MINIMUM_HALF: u32 = 1024;

impl Area {
    /// Bytes of the whole area.
    #[must_use]
    pub fn size(&self) -> u32 {
        self.unit * self.units
    }

    /// The first byte behind the area.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.address + self.size()
    }

    fn checked_end(&self) -> Option<u32> {
        self.unit.checked_mul(self.units)?.checked_add(self.address)
    }
}

impl Geometry {
    /// One region of equal units: the first `log_units` (an even number) are the log, the rest hold modules.
    #[must_use]
    pub fn uniform(word: u32, unit: u32, log_units: u32, module_units: u32) -> Geometry {
        Geometry {
            word,
            log: Area { address: 0, unit, units: log_units },
            modules: Area { address: unit * log_units, unit, units: module_units },
        }
    }

    /// Says whether a store can work with this geometry.
    ///
    /// # Errors
    /// The first rule that does not hold, with the numbers to change.
    pub fn check(&self) -> Result<(), GeometryError> {
        if !matches!(self.word, 4 | 8 | 16 | 32) {
            return Err(GeometryError::Word(self.word));
        }
        for unit in [self.log.unit, self.modules.unit] {
            if unit == 0 || !unit.is_multiple_of(self.word) {
                return Err(GeometryError::Unit { unit, word: self.word });
            }
        }
        if self.log.units < 2 || !self.log.units.is_multiple_of(2) {
            return Err(GeometryError::OddLog(self.log.units));
        }
        if self.modules.units == 0 {
            return Err(GeometryError::NoModules);
        }
        let (Some(log_end), Some(modules_end)) = (self.log.checked_end(), self.modules.checked_end()) else {
            return Err(GeometryError::Overlap);
        };
        if self.log.address < modules_end && self.modules.address < log_end {
            return Err(GeometryError::Overlap);
        }
        if self.half_size() < MINIMUM_HALF {
            return Err(GeometryError::SmallLog(self.half_size()));
        }
        Ok(())
    }

    /// Bytes of one half of the log.
    #[must_use]
    pub fn half_size(&self) -> u32 {
        self.log.size() / 2
    }

    /// The first byte of a half of the log.
    #[must_use]
    pub fn half_address(&self, half: Half) -> u32 {
        match half {
            Half::First => self.log.address,
            Half::Second => self.log.address + self.half_size(),
        }
    }

    /// The first byte behind everything the store uses.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.log.end().max(self.modules.end())
    }

    /// Rounds a length up to whole words.
    #[must_use]
    pub(super) fn words(&self, length: u32) -> u32 {
        length.next_multiple_of(self.word)
    }
}

/// One of the two halves of the log; they take turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// The half at the lower address.
    First,
    /// The half at the higher address.
    Second,
}

impl Half {
    pub(super) fn other(self) -> Half {
        match self {
            Half::First => Half::Second,
            Half::Second => Half::First,
        }
    }
}
