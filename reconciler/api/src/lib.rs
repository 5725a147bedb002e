//! The kinds of Wasmbed: pure types, parsing, validation and CRDs.
