//! Runs emulated devices as declared.
