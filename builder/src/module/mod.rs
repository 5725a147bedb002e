//! A module, checked against what devices can run.

mod check;
mod error;
mod footprint;

use serde::{Deserialize, Serialize};

use crate::Digest;

pub use error::ModuleError;
pub use footprint::Footprint;

/// A WebAssembly module that passed [`Module::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    digest: Digest,
    bytes: Vec<u8>,
    needs: Needs,
}

/// What a module needs of a device.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Needs {
    /// Bytes of linear memory at start, as the device's runtime lays it out.
    pub memory: u64,
    /// Whether it may ask for more while it runs.
    pub grows: bool,
    /// What it takes of a board's memory, without the interpreter's stack, counted from above.
    pub footprint: Footprint,
    /// The host functions it calls, as `module.name`, sorted.
    pub imports: Vec<String>,
}

/// What a module may need at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of the module itself. An immutable ConfigMap carries at most 1 MiB.
    pub module_bytes: u64,
    /// Bytes of linear memory at start.
    pub memory_bytes: u64,
    /// Whether it may grow its memory.
    pub growth: bool,
    /// The boards it is to run on; it has to fit into each.
    #[serde(default)]
    pub boards: Vec<Room>,
}

/// What a board has for one application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// The board's name, for messages.
    pub board: String,
    /// Bytes for linear memory, translated code, and the instance with its stack.
    pub bytes: u64,
    /// Bytes of the interpreter's stack among them.
    pub stack: u64,
    /// Whether memory in pages of 64 KiB is refused: 192 KiB of RAM or less.
    pub is_small: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { module_bytes: 1_000_000, memory_bytes: 16 << 20, growth: true, boards: Vec::new() }
    }
}

impl Module {
    /// Checks `bytes` against what devices can run and against `limits`. The way in for built modules and for
    /// `wasmBytes` alike.
    ///
    /// # Errors
    /// The first thing a device could not run, named.
    pub fn check(bytes: Vec<u8>, limits: &Limits) -> Result<Self, ModuleError> {
        let needs = check::check(&bytes, limits)?;
        Ok(Self { digest: Digest::of(&bytes), bytes, needs })
    }

    /// Its name: the digest of its bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its bytes, owned.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// What it needs of a device.
    #[must_use]
    pub const fn needs(&self) -> &Needs {
        &self.needs
    }
}
