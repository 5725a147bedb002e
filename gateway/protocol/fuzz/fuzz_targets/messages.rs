//! Any bytes as a message of either side; what is read is written the same way and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmbed_protocol::{DeviceMessage, GatewayMessage};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = DeviceMessage::decode(bytes) {
        let encoded = message.encode().expect("what was read can be written");
        assert_eq!(DeviceMessage::decode(&encoded).expect("and read again"), message);
    }
    if let Ok(message) = GatewayMessage::decode(bytes) {
        let encoded = message.encode().expect("what was read can be written");
        assert_eq!(GatewayMessage::decode(&encoded).expect("and read again"), message);
    }
});
