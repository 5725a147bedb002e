//! Pins and inputs an application has open.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use crate::{Errno, PinMode};

/// How many an application may have open.
const MOST: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    Pin(PinMode),
    Adc,
}

#[derive(Debug)]
struct Handle {
    name: String,
    opened: Opened,
    /// The platform's number.
    number: u32,
}

/// The table of an application; a handle is an index.
#[derive(Debug, Default)]
pub(crate) struct Handles(Vec<Handle>);

impl Handles {
    /// The handle of that name, opened now if it was not.
    pub(crate) fn open(
        &mut self,
        name: &str,
        opened: Opened,
        open: impl FnOnce(&str) -> Result<u32, Errno>,
    ) -> Result<i32, Errno> {
        let known = self.0.iter().position(|h| h.opened == opened && h.name == name);
        let index = match known {
            Some(index) => index,
            None if self.0.len() == MOST => return Err(Errno::MFILE),
            None => {
                let number = open(name)?;
                self.0.push(Handle { name: name.to_owned(), opened, number });
                self.0.len() - 1
            }
        };
        i32::try_from(index).map_err(|_| Errno::MFILE)
    }

    /// The platform's number behind a handle, and what it was opened as.
    pub(crate) fn number(&self, handle: u32) -> Result<(u32, Opened), Errno> {
        let handle = self.0.get(handle as usize).ok_or(Errno::BADF)?;
        Ok((handle.number, handle.opened))
    }
}
