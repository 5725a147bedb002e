//! Any bytes as each signed object.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmbed_protocol::{Assignment, Credential, KeySet, Release};

fuzz_target!(|bytes: &[u8]| {
    let _ = KeySet::read_unverified(bytes);
    let _ = Credential::read_unverified(bytes);
    let _ = Release::read_unverified(bytes);
    let _ = Assignment::read_unverified(bytes);
});
