//! The functions a device offers; the builder's list of imports has the same ones.

#[link(wasm_import_module = "wasmbed")]
unsafe extern "C" {
    pub(crate) fn log(level: i32, text: *const u8, length: usize);
    pub(crate) safe fn uptime_ms() -> i64;
    pub(crate) safe fn time_ms() -> i64;
    pub(crate) safe fn sleep_ms(milliseconds: u32);
    pub(crate) fn publish(topic: *const u8, topic_length: usize, payload: *const u8, length: usize) -> i32;
    pub(crate) fn config(key: *const u8, key_length: usize, buffer: *mut u8, length: usize) -> i32;
    pub(crate) fn arg(index: usize, buffer: *mut u8, length: usize) -> i32;
    pub(crate) fn gpio_open(name: *const u8, length: usize, mode: i32) -> i32;
    pub(crate) safe fn gpio_write(pin: i32, level: i32) -> i32;
    pub(crate) safe fn gpio_read(pin: i32) -> i32;
    pub(crate) fn adc_open(name: *const u8, length: usize) -> i32;
    pub(crate) safe fn adc_read(input: i32) -> i32;
    pub(crate) fn net_probe(host: *const u8, length: usize, port: i32, timeout_ms: u32) -> i64;
    pub(crate) fn random(buffer: *mut u8, length: usize) -> i32;
}
