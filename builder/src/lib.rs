//! Builds applications to WebAssembly modules in a sandbox.
