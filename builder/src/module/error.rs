//! Why a module is refused.

use super::Footprint;
use crate::imports;

/// Why a module is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// Not a WebAssembly module, or one with features no device has.
    #[error("not a module that devices run (at byte {offset:#x}): {message}")]
    Invalid {
        /// Offset in the module.
        offset: u64,
        /// What the validator says.
        message: String,
    },
    /// It calls parts of `std` that cannot work on a device.
    #[error("{}", unsupported(parts))]
    Unsupported {
        /// The parts of `std`.
        parts: Vec<String>,
    },
    /// It imports what no device has.
    #[error("the module imports `{module}.{name}`, which devices do not have{hint}")]
    UnknownImport {
        /// Import module.
        module: String,
        /// Import name.
        name: String,
        /// What may have been meant, or what to do.
        hint: String,
    },
    /// It imports a function with another type.
    #[error("the module imports `{module}.{name}` as {found}; devices have it as {expected}")]
    WrongImport {
        /// Import module.
        module: String,
        /// Import name.
        name: String,
        /// Its type in the module.
        found: String,
        /// Its type on devices.
        expected: String,
    },
    /// Something it must export is missing or of another kind.
    #[error("the module must export {0}")]
    Export(&'static str),
    /// It has a start section.
    #[error("the module has a start section, which would run before its limits apply; export `_start` instead")]
    StartSection,
    /// It is too large.
    #[error("the module is {size} bytes; its targets take at most {limit}")]
    TooLarge {
        /// Bytes.
        size: u64,
        /// Bytes.
        limit: u64,
    },
    /// It needs too much linear memory.
    #[error(
        "the module needs {needs} bytes of memory at start; its targets give at most {limit}: raise `config.memoryLimit`, or ask for less \
         stack or heap in `[package.metadata.wasmbed]`"
    )]
    Memory {
        /// Bytes.
        needs: u64,
        /// Bytes.
        limit: u64,
    },
    /// It does not fit into what a board has for an application.
    #[error(
        "the module needs {} bytes ({footprint}), and {board} has {room} for an application: make it smaller, ask for less \
         stack or heap in `[package.metadata.wasmbed]`, or choose other targets", footprint.total()
    )]
    Board {
        /// The board.
        board: String,
        /// What it needs.
        footprint: Footprint,
        /// Bytes the board has.
        room: u64,
    },
    /// Its memory comes in pages of 64 KiB, and a board is too small for that.
    #[error(
        "the module's memory comes in pages of 64 KiB, which {board} cannot give: build it from source, or export \
         `__heap_base` and `__data_end` and do without `memory.grow`"
    )]
    Pages {
        /// The board.
        board: String,
    },
    /// It may grow its memory, and its targets do not allow that.
    #[error("the module may grow its memory (`memory.grow`), which its targets do not allow")]
    Grows,
    /// It has more of something than an interpreter on a device should hold.
    #[error("the module has {found} {what}; devices take at most {limit}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many.
        found: u64,
        /// How many are taken.
        limit: u64,
    },
}

impl From<wasmparser::BinaryReaderError> for ModuleError {
    fn from(error: wasmparser::BinaryReaderError) -> Self {
        Self::Invalid { offset: error.offset(), message: error.message().to_owned() }
    }
}

fn unsupported(parts: &[String]) -> String {
    let lines = parts.iter().map(|part| {
        let instead = imports::instead_of(part).unwrap_or("what the crate `wasmbed` offers");
        format!("`{part}` cannot work on a device; use {instead}")
    });
    lines.collect::<Vec<_>>().join("\n")
}
