//! The images under test.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The boards that QEMU plays.
const BOARDS: [&str; 4] = ["mps2-an385", "mps2-an386", "mps2-an500", "netduinoplus2"];

/// The folder with the images, built from the sources as they are, once for all tests of this process; none, with a named
/// skip, where something for it is missing.
pub fn images(test: &str) -> Option<&'static Path> {
    for program in ["qemu-system-arm", "arm-none-eabi-gcc"] {
        if Command::new(program).arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed (./setup.sh); CI skips nothing");
            // Not by `eprintln!`: what that says in a test that passes, nobody sees.
            let skipped = format!("SKIPPED: {program} is not installed, so {test} is not tried on emulated boards\n");
            std::io::stderr().write_all(skipped.as_bytes()).unwrap();
            return None;
        }
    }
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    Some(BUILT.get_or_init(build))
}

fn build() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let mut command = Command::new(root.join("firmware/boards/build.sh"));
    // The images have a workspace and a target folder of their own.
    let output = command.args(BOARDS).env_remove("CARGO_TARGET_DIR").output().unwrap();
    assert!(output.status.success(), "the firmware builds: {}", String::from_utf8_lossy(&output.stderr));
    root.join("target/firmware")
}
