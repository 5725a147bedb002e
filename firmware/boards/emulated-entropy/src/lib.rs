//! Marks an image whose random numbers come from whoever started its emulator.
//!
//! An emulated chip without a random number generator, and without flash that outlives a reset, gets a fresh seed from its
//! host before every start. On hardware nobody does that: the same image would use the same keys at every start. So an image
//! that trusts such a seed carries a symbol, and the linker scripts of all boards that are hardware (`hardware.x`, which
//! [`HARDWARE_SCRIPT`] holds for their build scripts) refuse to link an image that has it.

#![no_std]

/// The linker script that refuses a marked image. A hardware board's build script writes it out and names it to the linker.
pub const HARDWARE_SCRIPT: &str = include_str!("../hardware.x");

/// The symbol that [`HARDWARE_SCRIPT`] looks for.
#[used]
#[unsafe(no_mangle)]
#[allow(unsafe_code, reason = "the linker has to find it by its name; nothing else has it")]
static __wasmbed_emulated_entropy: u8 = 1;

/// Marks the image that calls it. Only with this may a seed in volatile memory be trusted.
#[must_use]
pub fn is_trusted() -> bool {
    // A read that is not optimised away keeps the symbol in every image that asks.
    core::hint::black_box(&__wasmbed_emulated_entropy) == &1
}
