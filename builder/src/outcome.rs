//! What a builder answers.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::module::Module;

/// How a build ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildOutcome {
    /// There is a module.
    Built(Built),
    /// There is none, and why; to build the same closure again gives the same unless [`FailureReason::is_transient`].
    Failed(Failure),
}

/// A module, and what the compiler had to say about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The checked module.
    pub module: Module,
    /// The compiler's warnings, rendered, bounded.
    pub warnings: Vec<String>,
    /// How long it took; zero if it came from the cache.
    pub duration: Duration,
    /// Whether nothing was compiled.
    pub cached: bool,
}

/// Why there is no module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}{message}", .location.as_ref().map(|location| format!("{location}: ")).unwrap_or_default())]
pub struct Failure {
    /// The kind of failure; a condition's reason.
    pub reason: FailureReason,
    /// For people: what, and what to do; one line where it can be, the compiler's rendered text otherwise (at most 8 KiB).
    pub message: String,
    /// Where, if one place can be named.
    pub location: Option<Location>,
}

/// The kinds of failure, as conditions name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FailureReason {
    /// The source is refused before anything runs.
    SourceRefused,
    /// Crates could not be fetched.
    FetchFailed,
    /// The compiler, or a build script, said no.
    CompileFailed,
    /// The application calls what cannot work on a device.
    Unsupported,
    /// The build took longer than it may.
    TimedOut,
    /// The build used more memory, processes or disk than it may.
    LimitExceeded,
    /// The module is not one devices can run.
    ModuleRefused,
    /// No sandbox here, and none was not asked for.
    NoSandbox,
    /// The compiler or another tool is missing here.
    NoToolchain,
    /// The builder itself failed.
    BuilderFailed,
}

impl FailureReason {
    /// Whether building the same closure again may give something else. A build that took too long is not tried again and again:
    /// most of them would never end, and each takes the machine for as long as it may.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        matches!(self, Self::FetchFailed | Self::NoSandbox | Self::NoToolchain | Self::BuilderFailed)
    }
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A place in the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// Path from the repository's root.
    pub file: String,
    /// Line, from 1; 0 for the whole file.
    pub line: u32,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// What a build is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// Waits for another build of the same application or for a free place.
    Waiting,
    /// The standard library is built, once for a toolchain, target and profile; takes about half a minute.
    PreparingToolchain,
    /// Crates are fetched.
    Fetching,
    /// The compiler runs; now at the named crate.
    Compiling(String),
    /// The module is optimised and checked.
    Optimising,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another build"),
            Self::PreparingToolchain => f.write_str("building the standard library (once)"),
            Self::Fetching => f.write_str("fetching crates"),
            Self::Compiling(name) => write!(f, "compiling {name}"),
            Self::Optimising => f.write_str("optimising and checking the module"),
        }
    }
}
