//! How an application ends, and why one does not start.

use alloc::string::String;
use core::fmt;

/// How an application ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// `_start` returned: the same as exit code 0.
    Returned,
    /// It called `proc_exit`.
    Exited {
        /// The code it gave.
        code: u32,
    },
    /// [`crate::Running::stop`] ended it.
    Stopped,
    /// It did what WebAssembly forbids, such as reaching outside of its memory, dividing by zero or `unreachable`
    /// (how a Rust panic ends).
    Trapped {
        /// What happened, for its author.
        reason: String,
    },
    /// It failed after it was refused memory.
    MemoryLimit {
        /// The limit in bytes.
        limit: u64,
    },
    /// It called too deeply.
    StackOverflow {
        /// The limit in bytes.
        limit: u32,
    },
    /// It never ran.
    Refused(StartError),
}

impl Outcome {
    /// Whether it ended by itself and well.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Returned | Self::Exited { code: 0 })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => write!(f, "returned"),
            Self::Exited { code } => write!(f, "exited with code {code}"),
            Self::Stopped => write!(f, "stopped"),
            Self::Trapped { reason } => write!(f, "trapped: {reason}"),
            Self::MemoryLimit { limit } => {
                write!(f, "ran out of memory: its limit is {limit} bytes (config.memoryLimit)")
            }
            Self::StackOverflow { limit } => {
                write!(f, "called too deeply: its stack has {limit} bytes (endless recursion?)")
            }
            Self::Refused(error) => error.fmt(f),
        }
    }
}

/// Why an application could not be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    /// The bytes are not a module this runtime can run.
    #[error("not a module this device can run: {reason}")]
    Invalid {
        /// What is wrong with it.
        reason: String,
    },
    /// The module imports what no device offers.
    #[error("imports {module}.{name}, which devices do not offer: build it with the wasmbed SDK or for wasm32-wasip1")]
    UnknownImport {
        /// Module name of the import: 64 bytes of it and `...`, if it is longer.
        module: String,
        /// Its name, as much of it.
        name: String,
    },
    /// The module imports a known function with other parameters or results.
    #[error("imports {module}.{name} with another signature than devices offer: rebuild it with this version's SDK")]
    ImportSignature {
        /// Module name of the import: 64 bytes of it and `...`, if it is longer.
        module: String,
        /// Its name, as much of it.
        name: String,
    },
    /// The module has no entry.
    #[error("exports no function `_start` without parameters and results: it is not a program")]
    NoEntry,
    /// It needs more memory than its limit grants.
    #[error("needs more memory to start than its limit of {limit} bytes (config.memoryLimit)")]
    MemoryLimit {
        /// The limit in bytes.
        limit: u64,
    },
    /// A limit is out of its range.
    #[error("limit {name} is {value}, but must lie in {range}")]
    Limit {
        /// Its name.
        name: &'static str,
        /// The value given.
        value: u64,
        /// The range it must lie in.
        range: &'static str,
    },
    /// The system gave no thread or the runtime could not be set up.
    #[error("the device cannot start an application: {0}")]
    System(String),
}
