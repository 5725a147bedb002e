//! What firmware takes of its boards, and what it costs. Programs of the firmware's own workspace measure it; what they print,
//! a figure a line, is taken up here.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::CannotRun;
use super::figure::Figure;

/// How large each board's image is.
pub fn sizes() -> Result<Vec<Figure>, CannotRun> {
    of("sizes")
}

/// What the interpreter takes in slices, on the cores of QEMU.
pub fn interpreter() -> Result<Vec<Figure>, CannotRun> {
    needs_qemu()?;
    of("interpreter")
}

/// What the UART link is worth: counted on a simulated line by the protocol's own tests.
pub fn link() -> Result<Vec<Figure>, CannotRun> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let said = run(
        root,
        &["test", "--quiet", "--locked", "-p", "wasmbed-protocol", "--test", "link", "figures", "--", "--nocapture"],
    )?;
    // `115200 baud, 0 errors in a million bytes: 10844 B/s, 6.2 % more bytes on the line`
    let figures = said.lines().find_map(|line| {
        // A dot for a test that passed may stand before it.
        let (_, figures) = line.split_once("115200 baud, 0 errors in a million bytes: ")?;
        let (rate, rest) = figures.split_once(" B/s, ")?;
        Some((rate.parse().ok()?, rest.split_once(" %")?.0.parse().ok()?))
    });
    let Some((rate, overhead)) = figures else {
        return Err(CannotRun("the link's tests do not say how fast it is".to_owned()));
    };
    let how = "200,000 bytes to a device over a line of 115,200 baud, simulated byte by byte, without errors";
    // A rate has no goal: there, larger is better.
    Ok(vec![
        Figure::new("link_bytes_per_s_115200", rate, "B/s", None, how.to_owned()),
        Figure::new(
            "link_overhead_percent",
            overhead,
            "%",
            None,
            format!("bytes on the line beyond the stream's: {how}"),
        ),
    ])
}

/// Builds every board's firmware; the folder with the images.
pub fn images() -> Result<PathBuf, CannotRun> {
    let script = root().join("firmware/boards/build.sh");
    let build = Command::new(&script).output().map_err(|error| CannotRun(format!("{}: {error}", script.display())))?;
    if !build.status.success() {
        return Err(CannotRun(String::from_utf8_lossy(&build.stderr).trim().to_owned()));
    }
    Ok(root().join("target/firmware").canonicalize().unwrap())
}

/// Where an image has its stack, from its lowest address to its highest.
pub fn stack(image: &Path) -> (u64, u64) {
    let output = Command::new("arm-none-eabi-nm").arg(image).output().expect("what built the image is here");
    let symbols = String::from_utf8_lossy(&output.stdout);
    let symbol = |name: &str| {
        let line = symbols.lines().find(|line| line.ends_with(name)).expect("every image has it");
        u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()
    };
    (symbol(" _stack_end"), symbol(" _stack_start"))
}

/// Says that QEMU is missing, if it is.
pub fn needs_qemu() -> Result<(), CannotRun> {
    match Command::new("qemu-system-arm").arg("--version").output() {
        Ok(_) => Ok(()),
        Err(error) => Err(CannotRun(format!("qemu-system-arm: {error}; see `wasmbed doctor`"))),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn of(program: &str) -> Result<Vec<Figure>, CannotRun> {
    let said = run(root(), &["run", "--quiet", "--locked", "-p", "wasmbed-board-tests", "--bin", program])?;
    Ok(said.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}

fn run(folder: PathBuf, arguments: &[&str]) -> Result<String, CannotRun> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(folder)
        .output()
        .map_err(|error| CannotRun(format!("cargo cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(CannotRun(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
