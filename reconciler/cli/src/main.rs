//! `wasmbed`: the one binary.
fn main() {}
