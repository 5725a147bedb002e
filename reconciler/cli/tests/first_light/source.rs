//! Sources of applications.

/// The `Cargo.toml` of an application.
pub fn manifest(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
}

/// The `src/main.rs` of one that prints its word and a number, again after so many milliseconds.
pub fn ticker(word: &str, milliseconds: u32) -> String {
    format!(
        "fn main() {{\n    for number in 0u32.. {{\n        println!(\"{word} {{number}}\");\n        \
         wasmbed::sleep(core::time::Duration::from_millis({milliseconds}));\n    }}\n}}\n"
    )
}
