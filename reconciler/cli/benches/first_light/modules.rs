//! How large modules are.

use super::figure::Figure;
use super::running::program;
use super::{CannotRun, needs_what_builds_need, sources};

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    needs_what_builds_need()?;
    let folder = tempfile::tempdir().unwrap();
    let fleet = folder.path().join("fleet");
    sources::declare(&fleet, "hello", &sources::saying("Hello from Wasmbed!"));
    sources::declare(&fleet, "formatting", sources::FORMATTING);
    let modules = folder.path().join("modules");
    let mut command = program();
    command.args(["build", "--folder"]).arg(&fleet).arg("--to").arg(&modules);
    // There lies `builder/`, with the library that the end-to-end tests compiled too.
    command.arg("--state").arg(env!("CARGO_TARGET_TMPDIR"));
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "wasmbed build: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let size = |name: &str| std::fs::metadata(modules.join(format!("{name}.wasm"))).unwrap().len() as f64;
    let how = |what: &str| format!("the module that `wasmbed build` makes of {what}");
    Ok(vec![
        Figure::new(
            "module_hello_bytes",
            size("hello"),
            "B",
            Some(256.0),
            how("`pub fn main() { println!(\"Hello from Wasmbed!\"); }`"),
        ),
        Figure::new(
            "module_hello_fmt_bytes",
            size("formatting"),
            "B",
            Some(2048.0),
            how("a loop that prints a line with two integers in it"),
        ),
    ])
}
