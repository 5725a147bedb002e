//! Any bytes as declarations: parsed, checked, printed and parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| wasmbed_api::declarations::fuzz(bytes));
