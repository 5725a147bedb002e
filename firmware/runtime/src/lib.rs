//! The WebAssembly runtime and its host functions, on hosts and Cortex-M.
//!
//! [`start`] runs an [`Application`] under [`Limits`] and [`Grants`] against a [`Host`]; the [`Running`] handle stops it and
//! tells what it uses; [`Outcome`] says how it ended. Nothing an application does takes the process or a neighbour down.
//!
//! Without the feature `threads` the crate is `no_std`: firmware gives an application an arena ([`Budget::in_arena`]) and a stack, calls
//! [`Task::run`] there, and implements [`Driver`] with its scheduler.
//!
//! The interpreter runs with all the rights of the device: the sandbox is the interpreter, which checks every access of an
//! application, and the host functions, which check every argument.

#![cfg_attr(not(feature = "threads"), no_std)]

extern crate alloc;

mod application;
mod driver;
mod guest;
mod handles;
mod host;
mod imports;
mod lines;
mod load;
mod outcome;
mod rate;
mod sdk;
mod sections;
mod session;
mod task;
#[cfg(feature = "threads")]
mod threads;
mod wamr;
mod wasi;

use core::time::Duration;

pub use application::{Application, Grants, Limits, Stats};
pub use driver::{Counts, Driver};
pub use host::{Errno, Host, Level, Line, Origin, PinMode};
pub use imports::{IMPORTS, Import, SDK_MODULE, WASI_MODULE};
pub use load::Loaded;
pub use outcome::{Outcome, StartError};
pub use task::Task;
#[cfg(feature = "threads")]
pub use threads::{Running, start};
pub use wamr::{Budget, Charge};

/// Longest piece of a log line, in bytes; longer lines come in pieces.
pub const LINE_BYTES: usize = 512;
/// Longest topic of a message, in bytes.
pub const TOPIC_BYTES: usize = 64;
/// Longest payload of a message, in bytes.
pub const PAYLOAD_BYTES: usize = 1024;
/// Longest time a network probe may take.
pub const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
