//! An image for QEMU's MPS2 machines that tries and measures the runtime in slices. It says by semihosting what it finds, in lines that
//! `wasmbed-board-tests` reads: `figure NAME VALUE`, `passed NAME`, and at last `done`.
#![no_std]
#![no_main]

extern crate alloc;

mod applications;
mod figures;
mod machine;
mod rig;
mod trials;
mod workloads;

use core::mem::MaybeUninit;

// For its critical sections.
use cortex_m as _;
use embedded_alloc::LlffHeap;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

const HEAP_BYTES: usize = 3 << 20;

#[allow(unsafe_code, reason = "the heap is given its memory once")]
fn prepare_heap() {
    static mut MEMORY: [MaybeUninit<u8>; HEAP_BYTES] = [MaybeUninit::uninit(); HEAP_BYTES];
    // SAFETY: called once, before anything is allocated; nothing else refers to the memory.
    unsafe { HEAP.init((&raw mut MEMORY) as usize, HEAP_BYTES) };
}

#[cortex_m_rt::entry]
fn main() -> ! {
    prepare_heap();
    machine::start();
    wasmbed_slices::start();
    trials::all();
    figures::all();
    say!("done");
    machine::exit(true)
}
