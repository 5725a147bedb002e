//! TLS 1.3 with raw Ed25519 keys: rustls' protocol, RustCrypto's algorithms.
//!
//! One cipher suite (ChaCha20-Poly1305), one key exchange (X25519), one signature (Ed25519): what a small processor
//! without crypto hardware does fastest, and all that this fleet's gateways need to speak.

mod aead;
mod connection;
mod entropy;
mod exporter;
mod hash;
mod identity;
mod key_exchange;
mod provider;
mod reason;
mod verifier;

pub(crate) use connection::TlsConnection;
pub use entropy::{Entropy, EntropyFailed};
pub(crate) use identity::TlsIdentity;
