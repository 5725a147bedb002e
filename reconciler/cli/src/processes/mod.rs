//! The components, as processes of their own: children of `wasmbed up`, or pods of a cluster.

pub(crate) mod builder;
pub(crate) mod emulator;
mod ending;
pub(crate) mod gateway;
mod health;
mod key_source;
pub(crate) mod reconcile;
pub(crate) mod registry;
pub(crate) mod signer;
pub(crate) mod streams;
