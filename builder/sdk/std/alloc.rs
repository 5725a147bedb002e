//! The heap of a Wasmbed application: a fixed piece of memory that the linker lays out, so that a device knows what an
//! application needs before it starts it, and memory never grows.
//!
//! First fit over a list of free blocks in the order of their addresses; neighbours are joined when freed. A program
//! that allocates nothing has neither the list nor the memory.

use crate::alloc::{GlobalAlloc, Layout, System};
use crate::cell::UnsafeCell;
use crate::ptr;

unsafe extern "C" {
    /// The memory and its size, from an object that the builder links.
    static mut __wasmbed_heap: u64;
    static __wasmbed_heap_size: usize;
}

/// Blocks start at, and are, multiples of this.
const UNIT: usize = 8;

#[repr(C)]
struct Free {
    size: usize,
    next: *mut Free,
}

struct Heap {
    ready: UnsafeCell<bool>,
    first: UnsafeCell<*mut Free>,
}

// SAFETY: an application is one thread.
unsafe impl Sync for Heap {}

static HEAP: Heap = Heap { ready: UnsafeCell::new(false), first: UnsafeCell::new(ptr::null_mut()) };

impl Heap {
    /// The list's head, which stands where a block's `next` would.
    ///
    /// # Safety
    /// Nothing else may hold a reference into the list.
    unsafe fn head(&self) -> *mut *mut Free {
        // SAFETY: one thread; the linked memory is `__wasmbed_heap_size` bytes, aligned to `UNIT`, and only used here.
        unsafe {
            if !*self.ready.get() {
                *self.ready.get() = true;
                let all = (&raw mut __wasmbed_heap).cast::<Free>();
                all.write(Free { size: __wasmbed_heap_size, next: ptr::null_mut() });
                *self.first.get() = all;
            }
        }
        self.first.get()
    }

    unsafe fn take(&self, size: usize, align: usize) -> *mut u8 {
        // SAFETY: every pointer in the list is to a free block of at least one unit, which nobody else uses.
        unsafe {
            let mut link = self.head();
            while !(*link).is_null() {
                let block = *link;
                let start = block.addr();
                let aligned = (start + align - 1) & !(align - 1);
                let front = aligned - start;
                if let Some(back) = (*block).size.checked_sub(front).and_then(|rest| rest.checked_sub(size)) {
                    let mut next = (*block).next;
                    if back > 0 {
                        let rest = block.with_addr(aligned + size);
                        rest.write(Free { size: back, next });
                        next = rest;
                    }
                    if front > 0 {
                        (*block).size = front;
                        (*block).next = next;
                    } else {
                        *link = next;
                    }
                    return block.with_addr(aligned).cast();
                }
                link = &raw mut (*block).next;
            }
        }
        full();
        ptr::null_mut()
    }

    unsafe fn give(&self, block: *mut u8, size: usize) {
        let block = block.cast::<Free>();
        // SAFETY: as in `take`; the block was taken with this size.
        unsafe {
            let head = self.head();
            let mut link = head;
            let mut before: *mut Free = ptr::null_mut();
            while !(*link).is_null() && *link < block {
                before = *link;
                link = &raw mut (*before).next;
            }
            let next = *link;
            block.write(Free { size, next });
            if !next.is_null() && block.addr() + size == next.addr() {
                (*block).size += (*next).size;
                (*block).next = (*next).next;
            }
            if !before.is_null() && before.addr() + (*before).size == block.addr() {
                (*before).size += (*block).size;
                (*before).next = (*block).next;
            } else {
                *link = block;
            }
        }
    }

    /// Makes a taken block larger where it stands, if what follows it is free.
    unsafe fn extend(&self, block: *mut u8, old: usize, new: usize) -> bool {
        let end = block.addr() + old;
        // SAFETY: as in `take`.
        unsafe {
            let mut link = self.head();
            while !(*link).is_null() && (*link).addr() < end {
                link = &raw mut (**link).next;
            }
            let next = *link;
            if next.is_null() || next.addr() != end || (*next).size < new - old {
                return false;
            }
            let rest = (*next).size - (new - old);
            let after = (*next).next;
            *link = if rest > 0 {
                let block = next.with_addr(block.addr() + new);
                block.write(Free { size: rest, next: after });
                block
            } else {
                after
            };
        }
        true
    }
}

/// What comes next is most often an abort without a word.
#[cold]
fn full() {
    crate::sys::wasmbed::ERROR.write(b"the heap is full; `heap` in [package.metadata.wasmbed] asks for more\n");
}

fn units(size: usize) -> usize {
    (size + UNIT - 1) & !(UNIT - 1)
}

#[stable(feature = "alloc_system_type", since = "1.28.0")]
unsafe impl GlobalAlloc for System {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: one thread, and the heap calls nothing that allocates.
        unsafe { HEAP.take(units(layout.size()), layout.align().max(UNIT)) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller took this block with this layout.
        unsafe { HEAP.give(block, units(layout.size())) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (old, new) = (units(layout.size()), units(new_size));
        // SAFETY: the caller took this block with this layout.
        unsafe {
            if new < old {
                HEAP.give(block.add(new), old - new);
                return block;
            }
            if new == old || HEAP.extend(block, old, new) {
                return block;
            }
            let moved = HEAP.take(new, layout.align().max(UNIT));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size());
                HEAP.give(block, old);
            }
            moved
        }
    }
}
