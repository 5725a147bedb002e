//! The declarations and sources that are measured.

use std::path::Path;

use super::repository::Repository;

/// The package of an application.
pub fn package(name: &str) -> String {
    format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n")
}

/// The whole of the smallest application, saying `text`.
pub fn saying(text: &str) -> String {
    format!("pub fn main() {{\n    println!(\"{text}\");\n}}\n")
}

/// An application that formats two integers.
pub const FORMATTING: &str = "pub fn main() {
    for round in 0..10u32 {
        println!(\"round {round}, squared {}\", round * round);
    }
}
";

/// An application that says the time of its device every five milliseconds, and which version it is.
pub fn ticking(version: &str) -> String {
    format!(
        "pub fn main() {{
    loop {{
        println!(\"{version} {{}}\", wasmbed::uptime().as_millis() as u32);
        wasmbed::sleep(std::time::Duration::from_millis(5));
    }}
}}
"
    )
}

/// Declares one gateway, on any free port, and one device.
pub fn declare_fleet(repository: &Repository) {
    repository.write(
        "fleet.yaml",
        "apiVersion: wasmbed.io/v1
kind: Gateway
metadata: {name: gateway-1}
spec: {}
---
apiVersion: wasmbed.github.io/v0
kind: Device
metadata: {name: device-1}
spec:
  mcuType: Host
  gatewayId: gateway-1
  emulation: {backend: host}
",
    );
}

/// Declares an application beside its source.
pub fn declare(folder: &Path, name: &str, source: &str) {
    let app = folder.join("apps").join(name);
    std::fs::create_dir_all(app.join("src")).unwrap();
    std::fs::write(app.join("Cargo.toml"), package(name)).unwrap();
    std::fs::write(app.join("src/main.rs"), source).unwrap();
    let declaration = format!(
        "apiVersion: wasmbed.github.io/v1alpha1
kind: Application
metadata: {{name: {name}}}
spec:
  source: {{path: apps/{name}}}
  targetDevices: [device-1]
  config: {{ioLimit: {{logBytesPerSecond: 64Ki}}}}
"
    );
    std::fs::write(app.join("application.yaml"), declaration).unwrap();
}
