//! Builds applications to WebAssembly modules in a sandbox.
//!
//! Building is running a stranger's code, so the work is split:
//!
//! - [`Closure`] says, purely, which files of a repository an application is built from, and what is refused;
//! - [`worker`] is a process of its own without keys, API rights or Git credentials; it runs the compiler in a sandbox;
//! - [`Client`] is what the reconciler holds: it asks the worker, validates the bytes again ([`Module::check`]) and
//!   alone writes the [`Cache`].

pub mod cache;
pub mod client;
pub mod closure;
pub mod digest;
mod embedded;
pub mod imports;
pub mod module;
pub mod outcome;
pub mod request;
pub mod template;
pub mod toolchain;
mod wire;
pub mod worker;

pub use cache::Cache;
pub use client::{Client, ClientError};
pub use closure::{Closure, ClosureError, SourceTree};
pub use digest::Digest;
pub use module::{Footprint, Limits, Module, ModuleError, Needs, Room};
pub use outcome::{BuildOutcome, Built, Failure, FailureReason, Location, Progress};
pub use request::{BuildRequest, Profile, Target, Trust};
