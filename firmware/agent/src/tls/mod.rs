//! TLS 1.3 with raw Ed25519 keys: rustls' protocol, RustCrypto's algorithms.

mod entropy;

pub use entropy::{Entropy, EntropyFailed};
