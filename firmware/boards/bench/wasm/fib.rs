//! The workload `fib` as an application.
#![no_std]
#![no_main]

mod application;
#[path = "../src/workloads.rs"]
mod workloads;

#[unsafe(no_mangle)]
extern "C" fn _start() {
    application::tell(workloads::fib(core::hint::black_box(24)));
}
