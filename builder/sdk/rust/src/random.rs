//! Random bytes, from the device's own source.

use crate::{Error, host};

/// Fills `buffer` with random bytes.
///
/// # Errors
/// [`Error::NotSupported`] on a device without a source.
pub fn fill(buffer: &mut [u8]) -> Result<(), Error> {
    // SAFETY: the host writes `len` bytes into the buffer.
    Error::check(unsafe { host::random(buffer.as_mut_ptr(), buffer.len()) }).map(drop)
}

/// A random number.
///
/// # Errors
/// As [`fill`].
pub fn number() -> Result<u32, Error> {
    let mut bytes = [0; 4];
    fill(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
