//! Modules that are too large for a ConfigMap, as artifacts of an OCI registry.
//!
//! A module is the one layer (`application/wasm`) of an artifact whose configuration says that it is WebAssembly, tagged
//! `sha256-<digest>` so that a registry that collects garbage keeps it. It is fetched by its digest, never by the tag, and counts only if
//! its bytes have that digest: the registry is no more believed than a gateway is.

mod bounded;
mod ca;
mod credentials;
mod registry;

pub use registry::{Registry, RegistryError, RegistryOptions};

/// The most bytes a module may have, wherever it lies.
pub const MAX_MODULE: u64 = wasmbed_protocol::limits::MAX_MODULE as u64;

/// The most bytes of a module that lies in a ConfigMap; one with more lies in a registry.
pub const MAX_IN_CONFIG_MAP: u64 = 1_000_000;
