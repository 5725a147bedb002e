//! The memory of the agent: TLS, session, mirror of the store's log. Applications have arenas of their own, so that none of
//! them can keep the device from reconnecting.

#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::sync::atomic::{AtomicUsize, Ordering};

use embedded_alloc::LlffHeap;

/// The first-fit heap, and the most that was ever taken of it.
struct Heap {
    heap: LlffHeap,
    peak: AtomicUsize,
}

#[cfg_attr(target_os = "none", global_allocator)]
static HEAP: Heap = Heap { heap: LlffHeap::empty(), peak: AtomicUsize::new(0) };

// SAFETY: `LlffHeap` is a sound allocator by itself (every operation runs in a critical section); counting changes nothing.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        let memory = unsafe { self.heap.alloc(layout) };
        self.peak.fetch_max(self.heap.used(), Ordering::Relaxed);
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise about `memory` and `layout` is passed on.
        unsafe { self.heap.dealloc(memory, layout) }
    }
}

/// What a session takes at most, in bytes: TLS, frames, the largest Release while it is verified and read, lines that wait, and what is on its
/// way to the gateway and to flash. Measured on an AN386: a Release of 2,400 bytes with 64 variables, beside one application that has it.
const SESSION: usize = 44 * 1024;

/// How many bytes of the heap are for what the agent keeps of applications ([`wasmbed_agent::memory`]).
#[must_use]
pub fn for_applications() -> usize {
    let Use { used, free, .. } = usage();
    (used + free).saturating_sub(SESSION)
}

/// How much of the heap is and was in use, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Use {
    /// In use now.
    pub used: usize,
    /// The most that ever was.
    pub peak: usize,
    /// Not in use, in pieces of unknown size.
    pub free: usize,
}

/// Gives the heap its memory, once, before anything is allocated.
pub fn give(memory: &'static mut [MaybeUninit<u8>]) {
    // SAFETY: the memory is exclusively ours from now on, and is there for good; `init` panics if called a second time.
    unsafe { HEAP.heap.init(memory.as_mut_ptr() as usize, memory.len()) }
}

/// How much is in use.
#[must_use]
pub fn usage() -> Use {
    Use { used: HEAP.heap.used(), peak: HEAP.peak.load(Ordering::Relaxed), free: HEAP.heap.free() }
}
