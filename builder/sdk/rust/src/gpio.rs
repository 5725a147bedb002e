//! Pins, by the names the device gives them; granted in `capabilities.gpio`.

use crate::{Error, host};

/// A pin that is read.
#[derive(Debug)]
pub struct Input(i32);

/// A pin that is driven.
#[derive(Debug)]
pub struct Output(i32);

impl Input {
    /// Opens the pin called `name`.
    ///
    /// # Errors
    /// [`Error::NotGranted`], [`Error::NotFound`].
    pub fn open(name: &str) -> Result<Self, Error> {
        open(name, 0).map(Self)
    }

    /// Whether the pin is high.
    ///
    /// # Errors
    /// When the device cannot read it.
    pub fn is_high(&self) -> Result<bool, Error> {
        Error::check(host::gpio_read(self.0)).map(|level| level != 0)
    }
}

impl Output {
    /// Opens the pin called `name`.
    ///
    /// # Errors
    /// [`Error::NotGranted`], [`Error::NotFound`].
    pub fn open(name: &str) -> Result<Self, Error> {
        open(name, 1).map(Self)
    }

    /// Drives the pin high or low.
    ///
    /// # Errors
    /// When the device cannot drive it.
    pub fn set(&self, high: bool) -> Result<(), Error> {
        Error::check(host::gpio_write(self.0, high.into())).map(drop)
    }
}

fn open(name: &str, mode: i32) -> Result<i32, Error> {
    // SAFETY: the host reads the name and keeps nothing.
    match unsafe { host::gpio_open(name.as_ptr(), name.len(), mode) } {
        pin @ 0.. => Ok(pin),
        answer => Err(Error::from_host(answer.into())),
    }
}
