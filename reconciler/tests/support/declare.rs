//! Small declarations.

use std::sync::LazyLock;

/// A Gateway.
pub fn gateway(name: &str) -> String {
    format!("apiVersion: wasmbed.io/v1\nkind: Gateway\nmetadata: {{name: {name}}}\nspec: {{}}\n")
}

/// A host device of `gateway-1`.
pub fn device(name: &str) -> String {
    format!(
        "apiVersion: wasmbed.github.io/v0\nkind: Device\nmetadata: {{name: {name}, labels: {{room: kitchen}}}}\nspec: {{mcuType: Host, gatewayId: gateway-1, emulation: {{}}}}\n"
    )
}

/// An application of ready-made bytes; another `number` gives another module.
pub fn application(name: &str, devices: &[&str], number: u8) -> String {
    format!(
        "apiVersion: wasmbed.github.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  wasmBytes: {}\n  targetDevices: [{}]\n",
        module(number),
        devices.join(", "),
    )
}

/// An application that is built from `path`.
pub fn sourced(name: &str, path: &str) -> String {
    format!(
        "apiVersion: wasmbed.github.io/v1alpha1\nkind: Application\nmetadata: {{name: {name}}}\nspec:\n  source: {{path: {path}}}\n  targetSelector: {{}}\n"
    )
}

/// The smallest module that devices run, in base64: it exports `memory` and `_start`, and drops a number.
pub fn module(number: u8) -> String {
    use base64::Engine;
    static HEAD: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut bytes = b"\0asm\x01\0\0\0".to_vec();
        // Types: () -> (); one function of it; one page of memory.
        bytes.extend([1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 5, 3, 1, 0, 1]);
        // Exports: "memory" and "_start".
        bytes.extend([7, 19, 2, 6]);
        bytes.extend(b"memory");
        bytes.extend([2, 0, 6]);
        bytes.extend(b"_start");
        bytes.extend([0, 0]);
        bytes
    });
    let mut bytes = HEAD.clone();
    // Code: i32.const number; drop; end. Numbers below 64 take one byte.
    assert!(number < 64, "one byte of LEB128");
    bytes.extend([10, 7, 1, 5, 0, 0x41, number, 0x1a, 0x0b]);
    base64::engine::general_purpose::STANDARD.encode(bytes)
}
