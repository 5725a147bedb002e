//! The upper end of the RAM, behind the flash region: the memory of the applications.

#![allow(unsafe_code)]

use core::cell::UnsafeCell;
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicBool, Ordering};

/// All of it.
pub(crate) const SIZE: usize = 40 * 1024;

struct Memory(UnsafeCell<[MaybeUninit<u8>; SIZE]>);

// SAFETY: `take` lends it once.
unsafe impl Sync for Memory {}

#[unsafe(link_section = ".upper")]
static MEMORY: Memory = Memory(UnsafeCell::new([MaybeUninit::uninit(); SIZE]));
static TAKEN: AtomicBool = AtomicBool::new(false);

/// Lends it, once.
pub(crate) fn take() -> &'static mut [MaybeUninit<u8>] {
    assert!(!TAKEN.swap(true, Ordering::Relaxed), "the memory is lent once");
    // SAFETY: nobody else has a reference to it, as was just seen.
    unsafe { &mut *MEMORY.0.get() }
}
