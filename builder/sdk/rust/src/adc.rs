//! Analogue inputs, by the names the device gives them; granted in `capabilities.adc`.

use crate::{Error, host};

/// An analogue input.
#[derive(Debug)]
pub struct Input(i32);

impl Input {
    /// Opens the input called `name`.
    ///
    /// # Errors
    /// [`Error::NotGranted`], [`Error::NotFound`].
    pub fn open(name: &str) -> Result<Self, Error> {
        // SAFETY: the host reads the name and keeps nothing.
        match unsafe { host::adc_open(name.as_ptr(), name.len()) } {
            input @ 0.. => Ok(Self(input)),
            answer => Err(Error::from_host(answer.into())),
        }
    }

    /// What the input measures now, in millivolts.
    ///
    /// # Errors
    /// When the device cannot measure.
    pub fn millivolts(&self) -> Result<u32, Error> {
        Error::check(host::adc_read(self.0))
    }
}
