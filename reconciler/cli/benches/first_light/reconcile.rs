//! What a revision costs the reconciler where ten thousand things are declared, and what the embedded API does. Benches of
//! their own crates measure it; what they print, a figure a line, is taken up here.

use std::process::Command;

use super::CannotRun;
use super::figure::Figure;

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    bench("wasmbed-reconciler", "ten_thousand")
}

/// The first apply at a real API server, beside the bare calls.
pub fn first_apply() -> Result<Vec<Figure>, CannotRun> {
    bench("wasmbed-reconciler", "first_apply")
}

/// The embedded API, and the real one beside it.
pub fn api() -> Result<Vec<Figure>, CannotRun> {
    bench("wasmbed-control-plane", "embedded_api")
}

fn bench(package: &str, name: &str) -> Result<Vec<Figure>, CannotRun> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["bench", "--quiet", "--locked", "-p", package, "--bench", name])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| CannotRun(format!("cargo cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(CannotRun(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
