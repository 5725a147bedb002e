//! The workload `mix` as an application.
#![no_std]
#![no_main]

mod application;
#[path = "../src/workloads.rs"]
mod workloads;

#[unsafe(no_mangle)]
extern "C" fn _start() {
    // A program that looks at the size of its memory gets whole pages.
    #[cfg(pages)]
    core::hint::black_box(core::arch::wasm32::memory_size::<0>());
    application::tell(workloads::mix(core::hint::black_box(10)));
}
