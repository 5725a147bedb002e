//! What a revision costs the reconciler where ten thousand things are declared. The reconciler's own bench measures it;
//! what it prints, a figure a line, is taken up here.

use std::process::Command;

use super::CannotRun;
use super::figure::Figure;

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["bench", "--quiet", "--locked", "-p", "wasmbed-reconciler", "--bench", "ten_thousand"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .map_err(|error| CannotRun(format!("cargo cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(CannotRun(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    let lines = String::from_utf8_lossy(&output.stdout);
    Ok(lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
