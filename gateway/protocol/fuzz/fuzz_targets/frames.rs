//! Any bytes, in any pieces, through the frame decoder.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wasmbed_protocol::FrameDecoder;

fuzz_target!(|pieces: Vec<Vec<u8>>| {
    let mut decoder = FrameDecoder::default();
    for piece in &pieces {
        let mut rest = piece.as_slice();
        while let Ok(Some(_)) = decoder.next(&mut rest) {}
    }
});
