//! Any bytes as a device's provisioning; what is read is written the same way and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmbed_agent::Provisioning;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(provisioning) = Provisioning::decode(bytes) {
        let encoded = provisioning.encode().expect("what was read can be written");
        assert!(Provisioning::decode(&encoded).expect("and read again") == provisioning);
    }
});
