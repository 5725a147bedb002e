//! How much of the device's own stack was ever in use: it is painted at the start, and looked at now and then.

#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering};

const PAINT: u32 = 0x5AFE_57AC;
/// Bytes below the stack pointer that are left alone: the painter itself runs there.
const MARGIN: usize = 512;
/// The most that is painted, where there is more: nothing here needs as much.
const MOST: usize = 64 * 1024;

static BOTTOM: AtomicUsize = AtomicUsize::new(0);
static TOP: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    // cortex-m-rt's linker script places them: the stack grows from the first down to the second.
    static _stack_start: u32;
    static _stack_end: u32;
}

/// Paints the stack below the caller. To be called once, on the device's own stack.
pub(crate) fn paint() {
    let top = (&raw const _stack_start) as usize;
    let bottom = ((&raw const _stack_end) as usize).max(top.saturating_sub(MOST)).next_multiple_of(4);
    let here = (cortex_m::register::msp::read() as usize).saturating_sub(MARGIN);
    for word in (bottom..here).step_by(4) {
        // SAFETY: it lies between the stack's end and its pointer, with room for the frames of this function: it is nobody's.
        unsafe { (word as *mut u32).write_volatile(PAINT) };
    }
    BOTTOM.store(bottom, Ordering::Relaxed);
    TOP.store(top, Ordering::Relaxed);
}

/// The most bytes of the stack that were ever in use.
pub(crate) fn used() -> usize {
    let (bottom, top) = (BOTTOM.load(Ordering::Relaxed), TOP.load(Ordering::Relaxed));
    // SAFETY: `paint` found that this is the stack; reading it changes nothing.
    let is_painted = |word: &usize| unsafe { (*word as *const u32).read_volatile() } == PAINT;
    top - bottom - 4 * (bottom..top).step_by(4).take_while(is_painted).count()
}
