//! The memory of applications: apart from the agent's heap, and of each application its own piece.

#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use core::mem::MaybeUninit;
use core::ptr::NonNull;

use embedded_alloc::LlffHeap;

/// Stacks and arenas are aligned to this.
const ALIGN: usize = 8;

/// What the board has for applications.
pub struct Memory {
    pieces: LlffHeap,
}

static MEMORY: Memory = Memory { pieces: LlffHeap::empty() };

/// Gives the applications their memory, once, before any of them starts.
pub fn give(memory: &'static mut [MaybeUninit<u8>]) -> &'static Memory {
    // SAFETY: the memory is exclusively ours from now on, and is there for good; `init` panics if called a second time.
    unsafe { MEMORY.pieces.init(memory.as_mut_ptr() as usize, memory.len()) }
    &MEMORY
}

impl Memory {
    /// A piece of so many bytes, all zero; given back when it is dropped. `None` if there is none of that size.
    #[must_use]
    pub fn piece(&'static self, bytes: usize) -> Option<Piece> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGN).ok()?;
        // SAFETY: the layout has a size.
        let start = NonNull::new(unsafe { self.pieces.alloc(layout) })?;
        // SAFETY: so many bytes are ours from here on.
        unsafe { start.as_ptr().write_bytes(0, layout.size()) };
        Some(Piece { memory: self, start, layout })
    }

    /// Bytes that no application has now, in pieces of unknown size.
    #[must_use]
    pub fn free(&self) -> usize {
        self.pieces.free()
    }
}

/// A piece of memory of one application.
pub struct Piece {
    memory: &'static Memory,
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: it owns its bytes.
unsafe impl Send for Piece {}

impl AsMut<[u8]> for Piece {
    fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: it owns its bytes, which were all written.
        unsafe { core::slice::from_raw_parts_mut(self.start.as_ptr(), self.layout.size()) }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: it came from there with this layout, and goes back once.
        unsafe { self.memory.pieces.dealloc(self.start.as_ptr(), self.layout) }
    }
}
