//! The application's side of a call: its parameters, and its memory with every access checked.

use crate::{Errno, Outcome};

/// Parameters and memory of an application in a host function.
pub(crate) struct Guest<'a> {
    cells: &'a [u64],
    memory: &'a mut [u8],
}

/// What a host function answers.
#[derive(Debug, PartialEq)]
pub(crate) enum Answer {
    Nothing,
    I32(i32),
    I64(i64),
    /// The application ends.
    End(Outcome),
    /// The application is stopped from outside.
    Stopped,
}

impl From<Result<i32, Errno>> for Answer {
    /// The SDK's convention: a value, or a negated error number.
    fn from(result: Result<i32, Errno>) -> Self {
        Self::I32(result.unwrap_or_else(|errno| -i32::from(errno.0)))
    }
}

impl Answer {
    /// WASI's convention: 0 or an error number; values go to memory.
    pub(crate) fn errno(result: Result<(), Errno>) -> Self {
        Self::I32(result.map_or_else(|errno| i32::from(errno.0), |()| 0))
    }
}

impl<'a> Guest<'a> {
    pub(crate) fn new(cells: &'a [u64], memory: &'a mut [u8]) -> Self {
        Self { cells, memory }
    }

    /// The parameter at `index`, an `i32`.
    pub(crate) fn u32(&self, index: usize) -> u32 {
        // The upper half of an i32's cell is not defined.
        self.u64(index) as u32
    }

    /// The parameter at `index`, an `i64`.
    pub(crate) fn u64(&self, index: usize) -> u64 {
        self.cells.get(index).copied().unwrap_or_default()
    }

    /// The parameter at `index`, a `u16` passed as `i32`.
    pub(crate) fn u16(&self, index: usize) -> Result<u16, Errno> {
        u16::try_from(self.u32(index)).map_err(|_| Errno::INVAL)
    }

    fn range(&self, pointer: u32, length: u32) -> Result<core::ops::Range<usize>, Errno> {
        let start = pointer as usize;
        let end = start.checked_add(length as usize).ok_or(Errno::FAULT)?;
        if end > self.memory.len() {
            return Err(Errno::FAULT);
        }
        Ok(start..end)
    }

    /// The bytes at `pointer`.
    pub(crate) fn bytes(&self, pointer: u32, length: u32) -> Result<&[u8], Errno> {
        let range = self.range(pointer, length)?;
        Ok(&self.memory[range])
    }

    /// The bytes at `pointer`, to write.
    pub(crate) fn bytes_mut(&mut self, pointer: u32, length: u32) -> Result<&mut [u8], Errno> {
        let range = self.range(pointer, length)?;
        Ok(&mut self.memory[range])
    }

    /// The text whose pointer and length are the parameters `index` and `index + 1`, at most `longest` bytes.
    pub(crate) fn text(&self, index: usize, longest: usize) -> Result<&str, Errno> {
        let bytes = self.bytes(self.u32(index), self.u32(index + 1))?;
        if bytes.len() > longest {
            return Err(Errno::MSGSIZE);
        }
        core::str::from_utf8(bytes).map_err(|_| Errno::INVAL)
    }

    /// The `u32` at `pointer`.
    pub(crate) fn read_u32(&self, pointer: u32) -> Result<u32, Errno> {
        let bytes = self.bytes(pointer, 4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| Errno::FAULT)?))
    }

    /// The `u64` at `pointer`.
    pub(crate) fn read_u64(&self, pointer: u32) -> Result<u64, Errno> {
        let bytes = self.bytes(pointer, 8)?;
        Ok(u64::from_le_bytes(bytes.try_into().map_err(|_| Errno::FAULT)?))
    }

    /// Writes `bytes` at `pointer`.
    pub(crate) fn write(&mut self, pointer: u32, bytes: &[u8]) -> Result<(), Errno> {
        let length = u32::try_from(bytes.len()).map_err(|_| Errno::FAULT)?;
        self.bytes_mut(pointer, length)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Copies as much of `value` as fits into the buffer whose pointer and length are the parameters `index` and `index + 1`;
    /// answers the whole length.
    pub(crate) fn fill(&mut self, index: usize, value: &[u8]) -> Result<i32, Errno> {
        let buffer = self.bytes_mut(self.u32(index), self.u32(index + 1))?;
        let copied = value.len().min(buffer.len());
        buffer[..copied].copy_from_slice(&value[..copied]);
        i32::try_from(value.len()).map_err(|_| Errno::MSGSIZE)
    }
}

/// An address `offset` bytes after `pointer`.
pub(crate) fn after(pointer: u32, offset: u32) -> Result<u32, Errno> {
    pointer.checked_add(offset).ok_or(Errno::FAULT)
}
