//! The quarter of the RAM below 0x2000_0000: the agent's heap.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

/// All of it.
const SIZE: usize = 64 * 1024;

struct Memory(UnsafeCell<[MaybeUninit<u8>; SIZE]>);

// SAFETY: `take` lends it once.
unsafe impl Sync for Memory {}

#[unsafe(link_section = ".lower")]
static MEMORY: Memory = Memory(UnsafeCell::new([MaybeUninit::uninit(); SIZE]));
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Lends it, once.
pub(crate) fn take() -> &'static mut [MaybeUninit<u8>] {
    assert!(!TAKEN.swap(true, Ordering::Relaxed), "the memory is lent once");
    // SAFETY: nobody else has a reference to it, as was just seen.
    unsafe { &mut *MEMORY.0.get() }
}
