//! What the store asks of the flash, and what comes back.
//!
//! Offsets are bytes from the start of the region that the board gives to the store; the agent never
//! names an address. The platform carries out one action at a time, in the order they were given.

use alloc::vec::Vec;

/// The shape of the flash region that the store lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes erased together; a power of two.
    pub erase_unit: u32,
    /// Bytes programmed together; a power of two from 1 to 256. Programs are aligned to it.
    pub program_unit: u32,
    /// Number of erase units in the region.
    pub units: u32,
}

/// One flash operation for the platform to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlashAction {
    /// Read `length` bytes at `offset`.
    Read {
        /// Names this action in its [`FlashDone`].
        id: u32,
        /// First byte, from the start of the region.
        offset: u32,
        /// Number of bytes.
        length: u32,
    },
    /// Program `bytes` at `offset`: bits only go from 1 to 0.
    Program {
        /// Names this action in its [`FlashDone`].
        id: u32,
        /// First byte, from the start of the region; a multiple of the program unit.
        offset: u32,
        /// What to program; a multiple of the program unit long.
        bytes: Vec<u8>,
    },
    /// Erase one erase unit: every bit becomes 1.
    Erase {
        /// Names this action in its [`FlashDone`].
        id: u32,
        /// First byte of the erase unit, from the start of the region.
        offset: u32,
    },
}

impl FlashAction {
    /// The number that names this action in its [`FlashDone`].
    pub fn id(&self) -> u32 {
        match self {
            Self::Read { id, .. } | Self::Program { id, .. } | Self::Erase { id, .. } => *id,
        }
    }
}

/// The platform carried out a [`FlashAction`], or could not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashDone {
    /// The action's number.
    pub id: u32,
    /// The bytes read (empty for program and erase), or that the flash failed.
    pub result: Result<Vec<u8>, FlashFailed>,
}

/// The flash, or the file behind it, did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the flash reports a failure: check the storage behind it (space, permissions, wear)")]
pub struct FlashFailed;
