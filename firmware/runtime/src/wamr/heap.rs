//! The heap that the C side uses in firmware: the firmware's global allocator.

use alloc::alloc::{alloc, dealloc, realloc};
use core::alloc::Layout;
use core::ptr;

const ALIGN: usize = 8;

/// The layout of a block; `None` if no block can be so large.
fn layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.max(1), ALIGN).ok()
}

#[unsafe(no_mangle)]
extern "C" fn wasmbed_heap_alloc(size: usize) -> *mut u8 {
    // SAFETY: the layout has a size.
    layout(size).map_or(ptr::null_mut(), |layout| unsafe { alloc(layout) })
}

/// # Safety
///
/// `pointer` came from here, with `old_size`.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmbed_heap_realloc(pointer: *mut u8, old_size: usize, new_size: usize) -> *mut u8 {
    match (layout(old_size), layout(new_size)) {
        // SAFETY: as the caller promises; the new size is not 0 and a layout may have it.
        (Some(old), Some(new)) => unsafe { realloc(pointer, old, new.size()) },
        _ => ptr::null_mut(),
    }
}

/// # Safety
///
/// `pointer` came from here, with `size`.
#[unsafe(no_mangle)]
unsafe extern "C" fn wasmbed_heap_free(pointer: *mut u8, size: usize) {
    if let Some(layout) = layout(size) {
        // SAFETY: as the caller promises.
        unsafe { dealloc(pointer, layout) };
    }
}
