//! The workload `mix` as an application.
#![no_std]
#![no_main]

mod application;
#[path = "../src/workloads.rs"]
mod workloads;

#[unsafe(no_mangle)]
extern "C" fn _start() {
    application::tell(workloads::mix(core::hint::black_box(10)));
}
