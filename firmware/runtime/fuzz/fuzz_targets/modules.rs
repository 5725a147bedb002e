//! Any bytes as a module: refused or loaded, never a crash.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use wasmbed_runtime::{Budget, Limits, Loaded};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits::default();
    let _ = Loaded::load(bytes, limits, &Arc::new(Budget::new(limits.memory)));
});
