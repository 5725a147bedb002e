//! The WebAssembly runtime and its host functions, on hosts and Cortex-M.
//!
//! [`start`] runs an [`Application`] under [`Limits`] and [`Grants`] against a [`Host`]; the [`Running`] handle stops it and
//! tells what it uses; [`Outcome`] says how it ended. Nothing an application does takes the process or a neighbour down.

mod application;
mod control;
mod guest;
mod handles;
mod host;
mod imports;
mod lines;
mod load;
mod outcome;
mod pace;
mod rate;
mod running;
mod sdk;
mod sections;
mod session;
mod wamr;
mod wasi;

use std::time::Duration;

pub use application::{Application, Grants, Limits, Stats};
pub use host::{Errno, Host, Level, Line, Origin, PinMode};
pub use imports::{IMPORTS, Import, SDK_MODULE, WASI_MODULE};
pub use outcome::{Outcome, StartError};
pub use running::{Running, start};

/// Longest piece of a log line, in bytes; longer lines come in pieces.
pub const LINE_BYTES: usize = 512;
/// Longest topic of a message, in bytes.
pub const TOPIC_BYTES: usize = 64;
/// Longest payload of a message, in bytes.
pub const PAYLOAD_BYTES: usize = 1024;
/// Longest time a network probe may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
