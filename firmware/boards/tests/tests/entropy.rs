//! Random numbers that an emulator's host is trusted for come into no image for hardware.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use object::{Object, ObjectSymbol};

/// Both are images for the STM32F4; the second is QEMU's.
const HARDWARE: &str = "stm32f4-disco";
const EMULATED: &str = "netduinoplus2";

fn build(board: &str, features: &str) -> Output {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../build.sh");
    Command::new(script).arg(board).env("FEATURES", features).output().expect("build.sh is there")
}

/// Whether the image that was last built of that board has the mark.
fn is_marked(board: &str) -> bool {
    let image = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../../target/firmware/{board}.elf"));
    let bytes = fs::read(&image).unwrap_or_else(|error| panic!("{}: {error}", image.display()));
    let file = object::File::parse(&*bytes).expect("an image is an ELF file");
    file.symbols().any(|symbol| symbol.name() == Ok("__wasmbed_emulated_entropy"))
}

#[test]
fn an_image_for_hardware_that_trusts_its_emulators_host_does_not_link() {
    let built = build(HARDWARE, "emulated-entropy");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(!built.status.success(), "{HARDWARE} links with the feature emulated-entropy");
    assert!(said.contains("this image trusts a seed that only an emulator's host renews"), "{said}");
    assert!(said.contains("On hardware the device would use the same keys at every start"), "{said}");

    let built = build(HARDWARE, "");
    assert!(built.status.success(), "without the feature: {}", String::from_utf8_lossy(&built.stderr));
    assert!(!is_marked(HARDWARE));
}

#[test]
fn an_image_for_an_emulator_that_trusts_its_host_links() {
    let built = build(EMULATED, "emulated-entropy");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    assert!(is_marked(EMULATED));
}
