//! Frames: two bytes of length (big endian), then that many bytes of body.

use alloc::vec::Vec;

use crate::limits::MAX_FRAME;

/// Bytes before a frame's body.
pub const HEADER: usize = 2;

/// A header that no peer of this protocol sends. The stream cannot be followed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The body would be longer than [`MAX_FRAME`].
    #[error("a frame of {0} bytes, more than the {MAX_FRAME} the protocol allows")]
    Oversized(usize),
    /// The body would be empty.
    #[error("an empty frame")]
    Empty,
}

/// Cuts a byte stream into frame bodies. It holds no memory between frames, and inside one no more than that frame.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    header: Vec<u8>,
    body: Vec<u8>,
    length: usize,
    error: Option<FrameError>,
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes off the front of `input` until a frame is whole or nothing is left. Call it again after a frame:
    /// there may be another in what remains. `None` means that more bytes must come.
    ///
    /// # Errors
    /// An impossible length, at its header: before a byte of the body is taken. Every later call fails the same way.
    pub fn next(&mut self, input: &mut &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.length == 0 {
            take(&mut self.header, HEADER, input);
            let Ok(header) = <[u8; HEADER]>::try_from(self.header.as_slice()) else {
                return Ok(None);
            };
            self.length =
                accept(usize::from(u16::from_be_bytes(header))).inspect_err(|error| self.error = Some(*error))?;
            self.header = Vec::new();
            self.body.reserve_exact(self.length);
        }
        take(&mut self.body, self.length, input);
        if self.body.len() < self.length {
            return Ok(None);
        }
        self.length = 0;
        Ok(Some(core::mem::take(&mut self.body)))
    }

    /// Whether the stream could end here without cutting a frame in two.
    #[must_use]
    pub fn is_between_frames(&self) -> bool {
        self.header.is_empty() && self.length == 0
    }
}

/// Appends a body with its header.
///
/// # Errors
/// A body that no decoder would take.
pub fn write(body: &[u8], out: &mut Vec<u8>) -> Result<(), FrameError> {
    let length = accept(body.len())?;
    let length = u16::try_from(length).expect("MAX_FRAME fits sixteen bits");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
    Ok(())
}

fn accept(length: usize) -> Result<usize, FrameError> {
    match length {
        0 => Err(FrameError::Empty),
        1..=MAX_FRAME => Ok(length),
        _ => Err(FrameError::Oversized(length)),
    }
}

fn take(into: &mut Vec<u8>, length: usize, input: &mut &[u8]) {
    let count = input.len().min(length - into.len());
    let (taken, rest) = input.split_at(count);
    into.extend_from_slice(taken);
    *input = rest;
}
