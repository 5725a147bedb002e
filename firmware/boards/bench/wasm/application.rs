//! What each application needs of the device.

#[link(wasm_import_module = "wasmbed")]
unsafe extern "C" {
    fn publish(topic: *const u8, topic_len: usize, payload: *const u8, payload_len: usize) -> i32;
    fn adc_open(name: *const u8, name_len: usize) -> i32;
    fn adc_read(handle: i32) -> i32;
}

/// Tells the result.
#[allow(dead_code)]
pub(crate) fn tell(result: u32) {
    let (topic, payload) = (b"result", result.to_le_bytes());
    // SAFETY: pointers and lengths belong together.
    unsafe { publish(topic.as_ptr(), topic.len(), payload.as_ptr(), payload.len()) };
}

/// The analogue input.
#[allow(dead_code)]
pub(crate) fn input() -> impl FnMut() -> i32 {
    // SAFETY: as above.
    let handle = unsafe { adc_open(b"adc0".as_ptr(), 4) };
    // SAFETY: no pointers.
    move || unsafe { adc_read(handle) }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
