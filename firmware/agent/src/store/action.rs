use alloc::vec::Vec;

use thiserror::Error;

/// Names one flash action; the answer carries it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ActionId(pub u64);

/// What the store asks of the flash. One at a time: the next comes after this one is answered with
/// [`Store::complete`](super::Store::complete).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Read `length` bytes; answered with exactly so many.
    Read {
        /// Names the action.
        id: ActionId,
        /// First byte, from the start of the store's region; any alignment.
        address: u32,
        /// Bytes to read.
        length: u32,
    },
    /// Program whole words that are erased, in ascending order; answered with no bytes once they are durable.
    Program {
        /// Names the action.
        id: ActionId,
        /// First byte, a multiple of the word.
        address: u32,
        /// Whole words, never crossing an erase unit of the modules.
        bytes: Vec<u8>,
    },
    /// Erase one unit; answered with no bytes once it is durable.
    Erase {
        /// Names the action.
        id: ActionId,
        /// First byte of the unit.
        address: u32,
        /// Bytes of the unit.
        length: u32,
    },
}

impl Action {
    /// The name to answer with.
    #[must_use]
    pub fn id(&self) -> ActionId {
        match self {
            Action::Read { id, .. } | Action::Program { id, .. } | Action::Erase { id, .. } => *id,
        }
    }
}

/// Why the flash could not do what it was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FlashError {
    /// The bytes cannot be read, for instance because their ECC does not hold.
    #[error("the flash cannot be read")]
    Unreadable,
    /// The flash or its driver reported that programming or erasing failed.
    #[error("the flash did not take the write")]
    WriteFailed,
    /// A host's file system has no room left.
    #[error("there is no space left for the flash file")]
    NoSpace,
    /// What was programmed reads back differently: the unit is worn out or damaged.
    #[error("the flash reads back something else than was programmed")]
    ReadBack,
}
