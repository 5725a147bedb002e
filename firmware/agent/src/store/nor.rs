//! NOR flash as it behaves: bits only go from 1 to 0, whole units are erased, and a loss of power leaves words and
//! units half done.
//!
//! The model keeps its bytes in any [`Medium`]: memory in tests, a file on a host, a memory shared with an emulator. It
//! refuses what real flash would spoil silently, so a store that works on it never relies on more than flash gives.

use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;

use thiserror::Error;

use super::action::Action;
use super::geometry::{Area, Geometry};

/// Where the model keeps its bytes.
pub trait Medium {
    /// What can go wrong with it.
    type Error;

    /// Fills `bytes` from `address` on.
    ///
    /// # Errors
    /// Whatever the medium has to say.
    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), Self::Error>;

    /// Replaces the bytes from `address` on.
    ///
    /// # Errors
    /// Whatever the medium has to say.
    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Self::Error>;
}

impl Medium for Vec<u8> {
    type Error = Infallible;

    fn read(&mut self, address: u32, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.copy_from_slice(&self[address as usize..][..bytes.len()]);
        Ok(())
    }

    fn write(&mut self, address: u32, bytes: &[u8]) -> Result<(), Infallible> {
        self[address as usize..][..bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

/// NOR flash over a medium.
pub struct Nor<M> {
    medium: M,
    geometry: Geometry,
}

/// Why the model did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NorError<E> {
    /// The address or length does not fit the geometry.
    #[error("{length} bytes at {address:#x} are not in the flash, or not whole words or units of it")]
    Misplaced {
        /// First byte.
        address: u32,
        /// Bytes.
        length: u32,
    },
    /// Only an erase makes a 0 a 1.
    #[error("programming the word at {address:#x} would turn a 0 bit into a 1: erase its unit first")]
    BitRaised {
        /// First byte of the word.
        address: u32,
    },
    /// Flash with error correction takes a word only once.
    #[error("the word at {address:#x} was programmed already: erase its unit first")]
    ProgrammedTwice {
        /// First byte of the word.
        address: u32,
    },
    /// The medium failed.
    #[error("{0}")]
    Medium(E),
}

impl<M: Medium> Nor<M> {
    /// Flash over a medium of at least [`Geometry::end`] bytes.
    pub fn new(medium: M, geometry: Geometry) -> Nor<M> {
        Nor { medium, geometry }
    }

    /// The medium, as it is.
    pub fn medium(&self) -> &M {
        &self.medium
    }

    /// The medium, to do to it what flash does not do (bit flips in tests).
    pub fn medium_mut(&mut self) -> &mut M {
        &mut self.medium
    }

    /// Carries out an action; returns the bytes read, or none.
    ///
    /// # Errors
    /// If it breaks a rule of flash, or the medium fails.
    pub fn perform(&mut self, action: &Action) -> Result<Vec<u8>, NorError<M::Error>> {
        match action {
            Action::Read { address, length, .. } => self.read(*address, *length),
            Action::Program { address, bytes, .. } => self.program(*address, bytes).map(|()| Vec::new()),
            Action::Erase { address, length, .. } => self.erase(*address, *length).map(|()| Vec::new()),
        }
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// As [`perform`](Nor::perform).
    pub fn read(&mut self, address: u32, length: u32) -> Result<Vec<u8>, NorError<M::Error>> {
        self.area(address, length)?;
        let mut bytes = vec![0; length as usize];
        self.medium.read(address, &mut bytes).map_err(NorError::Medium)?;
        Ok(bytes)
    }

    /// Programs whole words.
    ///
    /// # Errors
    /// As [`perform`](Nor::perform).
    pub fn program(&mut self, address: u32, bytes: &[u8]) -> Result<(), NorError<M::Error>> {
        self.check_program(address, bytes)?;
        self.medium.write(address, bytes).map_err(NorError::Medium)
    }

    /// Erases one unit.
    ///
    /// # Errors
    /// As [`perform`](Nor::perform).
    pub fn erase(&mut self, address: u32, length: u32) -> Result<(), NorError<M::Error>> {
        self.check_erase(address, length)?;
        self.medium.write(address, &vec![0xFF; length as usize]).map_err(NorError::Medium)
    }

    /// Programs as a loss of power leaves it: `words` words whole, and in the next one only the bits that are 0 in
    /// `left` (repeated) stay as they were.
    ///
    /// # Errors
    /// As [`perform`](Nor::perform).
    pub fn program_cut(&mut self, address: u32, bytes: &[u8], words: u32, left: u8) -> Result<(), NorError<M::Error>> {
        self.check_program(address, bytes)?;
        let whole = ((words * self.geometry.word) as usize).min(bytes.len());
        let mut cut = bytes[..whole].to_vec();
        let torn = &bytes[whole..(whole + self.geometry.word as usize).min(bytes.len())];
        cut.extend(torn.iter().map(|byte| byte | !left));
        self.medium.write(address, &cut).map_err(NorError::Medium)
    }

    /// Erases as a loss of power leaves it: of the bits that were 0, those that `chance` draws become 1.
    ///
    /// # Errors
    /// As [`perform`](Nor::perform).
    pub fn erase_cut(
        &mut self,
        address: u32,
        length: u32,
        mut chance: impl FnMut() -> u8,
    ) -> Result<(), NorError<M::Error>> {
        self.check_erase(address, length)?;
        let mut bytes = self.read(address, length)?;
        bytes.iter_mut().for_each(|byte| *byte |= chance());
        self.medium.write(address, &bytes).map_err(NorError::Medium)
    }

    fn check_program(&mut self, address: u32, bytes: &[u8]) -> Result<(), NorError<M::Error>> {
        let word = self.geometry.word;
        let length = bytes.len() as u32;
        let area = self.area(address, length)?;
        if !(address - area.address).is_multiple_of(word) || !length.is_multiple_of(word) || length == 0 {
            return Err(NorError::Misplaced { address, length });
        }
        let old = self.read(address, length)?;
        for ((old, new), address) in
            old.chunks(word as usize).zip(bytes.chunks(word as usize)).zip((address..).step_by(word as usize))
        {
            if old.iter().zip(new).any(|(old, new)| !old & new != 0) {
                return Err(NorError::BitRaised { address });
            }
            if old.iter().any(|byte| *byte != 0xFF) {
                return Err(NorError::ProgrammedTwice { address });
            }
        }
        Ok(())
    }

    fn check_erase(&mut self, address: u32, length: u32) -> Result<(), NorError<M::Error>> {
        let area = self.area(address, length)?;
        if length == area.unit && (address - area.address).is_multiple_of(area.unit) {
            Ok(())
        } else {
            Err(NorError::Misplaced { address, length })
        }
    }

    /// The area that holds all of these bytes.
    fn area(&self, address: u32, length: u32) -> Result<Area, NorError<M::Error>> {
        [self.geometry.log, self.geometry.modules]
            .into_iter()
            .find(|area| address >= area.address && u64::from(address) + u64::from(length) <= u64::from(area.end()))
            .ok_or(NorError::Misplaced { address, length })
    }
}
