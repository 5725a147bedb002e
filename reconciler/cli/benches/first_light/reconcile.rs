//! What a revision costs the reconciler where ten thousand things are declared: measured by the bench of its own crate,
//! which prints a figure a line.

use std::process::Command;

use super::CannotRun;
use super::figure::Figure;

pub fn measure() -> Result<Vec<Figure>, CannotRun> {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    command.args(["bench", "--locked", "--quiet", "-p", "wasmbed-reconciler", "--bench", "ten_thousand"]);
    let output = command.output().unwrap();
    let (out, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {out}{errors}");
    let figures: Vec<Figure> = out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    assert!(!figures.is_empty(), "{command:?} printed no figure: {out}");
    Ok(figures)
}
