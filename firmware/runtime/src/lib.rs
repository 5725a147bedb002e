//! The WebAssembly runtime and its host functions, on hosts and Cortex-M.
