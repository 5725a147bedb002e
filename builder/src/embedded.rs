//! The sources this crate carries: the SDK, and what is changed in the standard library.

macro_rules! files {
    ($folder:literal: $($path:literal)*) => {
        &[$(($path, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $path)))),*]
    };
}

/// The SDK: path and text.
pub(crate) const SDK: &[(&str, &str)] = files!("sdk/rust":
    "Cargo.toml" "src/adc.rs" "src/cbor.rs" "src/config.rs" "src/error.rs" "src/gpio.rs" "src/host.rs" "src/lib.rs" "src/log.rs"
    "src/network.rs" "src/publish.rs" "src/random.rs" "src/time.rs");

/// What is changed in the standard library: path and text.
pub(crate) const STD: &[(&str, &str)] = files!("sdk/std": "alloc.rs" "edits.toml" "stdio.rs" "wasmbed.rs");

/// The text of one of [`STD`].
pub(crate) fn std_file(name: &str) -> Option<&'static str> {
    STD.iter().find(|(path, _)| *path == name).map(|(_, text)| *text)
}
