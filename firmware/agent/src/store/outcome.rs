use alloc::vec::Vec;

use thiserror::Error;

use super::action::FlashError;

/// Names one accepted write; its [`Event::Done`] carries it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// What the store has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The region is mounted: reads and writes work from now on.
    Mounted(Report),
    /// The region could not even be formatted; no write will be accepted.
    Unusable {
        /// What the flash did.
        error: FlashError,
        /// Where.
        address: u32,
    },
    /// An accepted write is over.
    Done {
        /// Which one.
        ticket: Ticket,
        /// How it ended.
        outcome: Outcome,
    },
}

/// How an accepted write ended. On anything but a success the old value stands, with one exception that the flash
/// leaves open: after [`Outcome::Failed`] the new value may turn out to be there after the next reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The value is durable.
    Written,
    /// The value is gone for good.
    Removed,
    /// There is room for the module, and the log says so.
    Reserved,
    /// The bytes are in the flash, or in memory if they do not make a word.
    Appended {
        /// Where the module's bytes go on.
        next: u32,
    },
    /// The module is whole and durable.
    Stored,
    /// The module is what it was.
    Verified,
    /// The module's bytes do not have its sha256: it was discarded.
    Mismatch,
    /// The module cannot be finished yet.
    Incomplete {
        /// Where its bytes go on.
        next: u32,
    },
    /// The module is gone and erased.
    Discarded,
    /// There is no such module any more: a write before this one took it away.
    Gone,
    /// The flash failed.
    Failed {
        /// What it did.
        error: FlashError,
        /// Where.
        address: u32,
    },
}

/// Entries of [`Report::damage`] that are kept; more damage than that is not listed.
pub const MAX_DAMAGE: usize = 8;

/// What mounting found. All empty is the usual case; damage at the end of the log is what a loss of power in mid-write
/// leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whether the region had to be formatted, so that everything begins anew.
    pub formatted: Option<Formatted>,
    /// Address and length of stretches of the log that hold no whole record: cut short or damaged, and left behind.
    pub damage: Vec<(u32, u32)>,
    /// Acknowledged records that are missing, as far as their numbers tell (not those at the very end).
    pub lost: u32,
}

/// Why the region was formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatted {
    /// It was erased: a new device.
    Blank,
    /// It held something, but no log of this layout: damaged, or laid out by another firmware.
    Unreadable,
}

/// How far a module has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Module {
    /// It is being downloaded.
    Filling {
        /// Bytes of the whole.
        size: u32,
        /// Where its bytes go on.
        next: u32,
    },
    /// It was whole when it was stored.
    Stored {
        /// Bytes of the whole.
        size: u32,
        /// Whether it was read and hashed since the last boot.
        verified: bool,
    },
}

/// Where a module lies, in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Location {
    /// First byte, from the start of the store's region.
    pub address: u32,
    /// Bytes.
    pub size: u32,
}

/// Why a write was refused. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Mounting is not over, or failed.
    #[error("the store is not mounted")]
    NotMounted,
    /// There is no room; what is there already is safe.
    #[error(
        "the store is full: {needed} bytes needed in one piece, {available} available; \
         remove an application or declare more flash"
    )]
    Full {
        /// Bytes needed in one piece.
        needed: u32,
        /// Bytes available in one piece.
        available: u32,
    },
    /// The value or chunk is longer than it may be.
    #[error("{length} bytes are too long, at most {most} are possible")]
    TooLong {
        /// Its length.
        length: usize,
        /// What is possible.
        most: usize,
    },
    /// The name of an application is empty or too long.
    #[error("an application name of {length} bytes cannot be kept, 1 to {max} are possible", max = super::MAX_NAME)]
    Name {
        /// Its length in bytes.
        length: usize,
    },
    /// The bytes are not the next ones of the module.
    #[error("the module goes on at byte {expected}")]
    Offset {
        /// Where it goes on.
        expected: u32,
    },
    /// The module is there already, or on its way in or out.
    #[error("the module is in the store already")]
    Exists,
    /// There is no such module.
    #[error("the module is not in the store")]
    Unknown,
    /// A module without bytes.
    #[error("a module cannot be empty")]
    Empty,
    /// An older KeySet than the one kept.
    #[error("a KeySet of epoch {stored} is kept: an older one is refused")]
    EpochBelow {
        /// The epoch kept.
        stored: u64,
    },
}
