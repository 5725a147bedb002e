//! The small pieces that jobs are made of: each wants one flash action at a time and is stepped on with its answer.

use alloc::vec::Vec;

use super::action::FlashError;
use super::geometry::Area;

/// A flash action before it has a name.
#[derive(Debug)]
pub(super) enum Wish {
    Read { address: u32, length: u32 },
    Program { address: u32, bytes: Vec<u8> },
    Erase { address: u32, length: u32 },
}

/// What came of stepping.
pub(super) enum Step<T> {
    /// Step again with the answer to this.
    Do(Wish),
    /// Finished.
    Done(T),
}

/// The answer to the last wish; none on the first step.
pub(super) type Answer = Option<Result<Vec<u8>, FlashError>>;

/// A flash action that failed, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) error: FlashError,
    pub(super) address: u32,
}

/// Programs bytes and reads them back: only what reads back is acknowledged.
pub(super) struct Burn {
    address: u32,
    bytes: Vec<u8>,
    checking: bool,
}

impl Burn {
    pub(super) fn new(address: u32, bytes: Vec<u8>) -> Burn {
        Burn { address, bytes, checking: false }
    }

    pub(super) fn step(&mut self, answer: Answer) -> Step<Result<(), Trouble>> {
        let address = self.address;
        match answer {
            None => Step::Do(Wish::Program { address, bytes: self.bytes.clone() }),
            Some(Err(error)) => Step::Done(Err(Trouble { error, address })),
            Some(Ok(_)) if !self.checking => {
                self.checking = true;
                Step::Do(Wish::Read { address, length: self.bytes.len() as u32 })
            }
            Some(Ok(read)) if read == self.bytes => Step::Done(Ok(())),
            Some(Ok(_)) => Step::Done(Err(Trouble { error: FlashError::ReadBack, address })),
        }
    }
}

/// Erases units, the first one first: a log's header and so its validity goes before its records.
pub(super) struct EraseRun {
    address: u32,
    unit: u32,
    left: u32,
}

impl EraseRun {
    /// `units` units of `area`, beginning with number `first`.
    pub(super) fn new(area: &Area, first: u32, units: u32) -> EraseRun {
        EraseRun { address: area.address + first * area.unit, unit: area.unit, left: units }
    }

    pub(super) fn step(&mut self, answer: Answer) -> Step<Result<(), Trouble>> {
        match answer {
            None => {}
            Some(Err(error)) => return Step::Done(Err(Trouble { error, address: self.address })),
            Some(Ok(_)) => {
                self.address += self.unit;
                self.left -= 1;
            }
        }
        if self.left == 0 {
            Step::Done(Ok(()))
        } else {
            Step::Do(Wish::Erase { address: self.address, length: self.unit })
        }
    }
}
