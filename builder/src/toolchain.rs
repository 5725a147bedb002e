//! The one toolchain everything is built with, so that one commit gives one digest.

use sha2::{Digest as _, Sha256};

use crate::Digest;
use crate::embedded;

/// The Rust release, as rustup names it.
pub const RUST: &str = "1.95.0";

/// What a module's bytes depend on besides its closure: the Rust release, the SDK, what is changed in the standard
/// library, and the flags. Part of every build's key.
#[must_use]
pub fn identity() -> String {
    let mut hash = Sha256::new();
    for (path, text) in embedded::SDK.iter().chain(embedded::STD) {
        hash.update((path.len() as u64).to_be_bytes());
        hash.update(path);
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hash.update(crate::worker::FLAGS_VERSION);
    let digest: [u8; 32] = hash.finalize().into();
    format!("rust-{RUST}-{}", &Digest::from(digest).to_string()[..16])
}
