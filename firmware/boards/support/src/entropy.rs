//! The device's random numbers: ChaCha20 under a key that is never used for two starts.

use core::cell::RefCell;

use critical_section::Mutex;
use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore, SeedableRng};
use wasmbed_agent::EntropyFailed;
use wasmbed_agent::region::Seed;

static GENERATOR: Mutex<RefCell<Option<ChaCha20Rng>>> = Mutex::new(RefCell::new(None));

/// Begins with this key, of which no copy is kept.
pub fn start(key: &Seed) {
    let generator = ChaCha20Rng::from_seed(*key.as_bytes());
    critical_section::with(|cs| *GENERATOR.borrow_ref_mut(cs) = Some(generator));
}

/// Fills `bytes` with random ones.
///
/// # Errors
/// The generator was not started: the board has no seed.
pub fn fill(bytes: &mut [u8]) -> Result<(), EntropyFailed> {
    // In pieces, so that interrupts do not wait for long.
    for piece in bytes.chunks_mut(64) {
        critical_section::with(|cs| match GENERATOR.borrow_ref_mut(cs).as_mut() {
            Some(generator) => {
                generator.fill_bytes(piece);
                Ok(())
            }
            None => Err(EntropyFailed),
        })?;
    }
    Ok(())
}
