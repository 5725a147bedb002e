//! Objects that are believed across a gateway: COSE_Sign1 (RFC 9052) with Ed25519 over deterministic CBOR.
//!
//! The protected header says `alg: EdDSA` and nothing else, the unprotected header is empty, and the `external_aad` is a
//! text of its own for each type, so an object of one type never passes for another. The payload is a map with integer
//! keys in which every field is critical: an unknown one means refuse. It must be in the one deterministic encoding, so
//! its SHA-256 names it.

mod assignment;
mod credential;
mod keyset;
mod release;
mod sign1;

pub use assignment::{Assignment, Entry, Expected, RunState};
pub use credential::Credential;
pub use keyset::KeySet;
pub use release::{Artifact, Capabilities, Configuration, Format, IoLimits, Limits, Release, RestartPolicy};
pub use sign1::{Refusal, SignError};
