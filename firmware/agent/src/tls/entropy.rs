//! Where randomness comes from.

use alloc::boxed::Box;

use rustls::crypto::{GetRandomFailed, SecureRandom};

/// Fills a buffer with bytes that nobody can guess, or fails; never fills it with less.
///
/// On a board: its hardware generator (through a cryptographic one); on a host: the operating system's.
pub type Entropy = fn(&mut [u8]) -> Result<(), EntropyFailed>;

/// There are no random bytes to be had now; the agent makes no connection until there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no randomness: check the board's random number generator")]
pub struct EntropyFailed;

/// rustls' face of an [`Entropy`]. rustls wants `&'static`, so one agent leaks one of these (a word), once.
#[derive(Debug)]
pub(super) struct Random(pub(super) Entropy);

impl Random {
    pub(super) fn leak(entropy: Entropy) -> &'static Self {
        Box::leak(Box::new(Self(entropy)))
    }
}

impl SecureRandom for Random {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        (self.0)(buffer).map_err(|EntropyFailed| GetRandomFailed)
    }
}
