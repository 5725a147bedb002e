//! The random number generator (RNGA). Its words are not evenly random by themselves (the manual says so), so many of them make
//! one seed.

use sha2::{Digest, Sha256};

use crate::clock;
use crate::registers::RANDOM;

const CONTROL: u32 = 0x0;
const STATUS: u32 = 0x4;
const OUTPUT: u32 = 0xC;
const GO_AND_HIGH_ASSURANCE: u32 = 0b11;
/// 4,096 bits for 256.
const WORDS: usize = 128;
/// How often its level is read before it counts as stuck; a word takes 256 clocks.
const PATIENCE: u32 = 100_000;

/// Bytes of the generator, or none if it gives none.
pub(crate) fn seed() -> Option<[u8; 32]> {
    clock::gate(6, 9);
    RANDOM.write(CONTROL, GO_AND_HIGH_ASSURANCE);
    let mut hash = Sha256::new();
    let mut last = None;
    let mut changes = 0;
    for _ in 0..WORDS {
        if !(0..PATIENCE).any(|_| RANDOM.read(STATUS) >> 8 & 0xFF != 0) {
            return None;
        }
        let word = RANDOM.read(OUTPUT);
        changes += usize::from(last != Some(word));
        last = Some(word);
        hash.update(word.to_le_bytes());
    }
    // One that says the same again and again says nothing.
    (changes > WORDS / 2).then(|| hash.finalize().into())
}
