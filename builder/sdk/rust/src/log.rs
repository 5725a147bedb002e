//! Output: lines of the device's log, with a level.

use core::fmt::{self, Write};

use crate::host;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Level {
    /// What the program prints.
    Output = 0,
    /// Something failed.
    Error = 1,
    /// Something is not as it should be.
    Warn = 2,
    /// Something worth knowing.
    Info = 3,
    /// For whoever looks for a fault.
    Debug = 4,
}

/// Writes text to the device's log. Text that is known when the program is compiled never meets the formatter; that is
/// why this is inlined.
#[inline(always)]
pub fn write(level: Level, text: fmt::Arguments<'_>) {
    match text.as_str() {
        Some(text) => raw(level, text.as_bytes()),
        None => format(level, text),
    }
}

/// Like [`write`], and ends the line.
#[inline(always)]
pub fn write_line(level: Level, text: fmt::Arguments<'_>) {
    match text.as_str() {
        Some(text) => {
            raw(level, text.as_bytes());
            raw(level, b"\n");
        }
        None => format_line(level, text),
    }
}

#[inline(never)]
fn format(level: Level, text: fmt::Arguments<'_>) {
    let _ = fmt::write(&mut Pieces(level), text);
}

#[inline(never)]
fn format_line(level: Level, text: fmt::Arguments<'_>) {
    format(level, text);
    raw(level, b"\n");
}

fn raw(level: Level, text: &[u8]) {
    // SAFETY: the host reads `length` bytes and keeps nothing.
    unsafe { host::log(level as i32, text.as_ptr(), text.len()) }
}

/// The pieces of a text go to the host as they are: it makes lines of them, at less cost than copying them here.
struct Pieces(Level);

impl Write for Pieces {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        raw(self.0, text.as_bytes());
        Ok(())
    }
}

/// Prints a line; for programs built without Wasmbed's builder, whose `std` prints nowhere.
#[macro_export]
macro_rules! println {
    () => { $crate::write($crate::Level::Output, ::core::format_args!("\n")) };
    ($($arguments:tt)*) => { $crate::write_line($crate::Level::Output, ::core::format_args!($($arguments)*)) };
}

/// Prints without ending the line; see [`println!`].
#[macro_export]
macro_rules! print {
    ($($arguments:tt)*) => { $crate::write($crate::Level::Output, ::core::format_args!($($arguments)*)) };
}

/// Prints a line of errors; see [`println!`].
#[macro_export]
macro_rules! eprintln {
    () => { $crate::write($crate::Level::Error, ::core::format_args!("\n")) };
    ($($arguments:tt)*) => { $crate::write_line($crate::Level::Error, ::core::format_args!($($arguments)*)) };
}

/// Logs that something failed.
#[macro_export]
macro_rules! error {
    ($($arguments:tt)*) => { $crate::write_line($crate::Level::Error, ::core::format_args!($($arguments)*)) };
}

/// Logs that something is not as it should be.
#[macro_export]
macro_rules! warn {
    ($($arguments:tt)*) => { $crate::write_line($crate::Level::Warn, ::core::format_args!($($arguments)*)) };
}

/// Logs something worth knowing.
#[macro_export]
macro_rules! info {
    ($($arguments:tt)*) => { $crate::write_line($crate::Level::Info, ::core::format_args!($($arguments)*)) };
}

/// Logs something for whoever looks for a fault.
#[macro_export]
macro_rules! debug {
    ($($arguments:tt)*) => { $crate::write_line($crate::Level::Debug, ::core::format_args!($($arguments)*)) };
}
