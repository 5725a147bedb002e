//! Any bytes as a module: refused or loaded, never a crash.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmbed_runtime::{Budget, Limits, Loaded};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let _ = Loaded::load(bytes, limits, &Budget::new(limits.memory));
});
