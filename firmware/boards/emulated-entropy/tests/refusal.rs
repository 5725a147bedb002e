//! The linker, with the script of hardware, and images with and without the mark.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::process::{Command, Output};

const TARGET: &str = "thumbv7em-none-eabihf";

const PROGRAM: &str = r#"
#![no_std]
#![no_main]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
#[unsafe(no_mangle)]
extern "C" fn _start() -> bool {
    BODY
}
"#;

fn rustc(folder: &Path, arguments: &[&str]) -> Output {
    Command::new("rustc")
        .current_dir(folder)
        .args(["--edition=2024", "--target", TARGET])
        .args(arguments)
        .output()
        .unwrap()
}

/// Links a program of this body, as release builds of the boards do.
fn link(body: &str, script: bool) -> (bool, String) {
    let name = format!("wasmbed-mark-{}-{}-{script}", std::process::id(), body.len());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let built =
        rustc(&folder, &["--crate-type=rlib", "--crate-name=wasmbed_emulated_entropy", library.to_str().unwrap()]);
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    std::fs::write(folder.join("main.rs"), PROGRAM.replace("BODY", body)).unwrap();
    std::fs::write(folder.join("hardware.x"), wasmbed_emulated_entropy::HARDWARE_SCRIPT).unwrap();
    let mut arguments = vec!["main.rs", "-L.", "--extern=wasmbed_emulated_entropy", "-Cpanic=abort", "-Copt-level=z"];
    arguments.extend(["-Clto=fat", "-Clink-arg=--entry=_start"]);
    if script {
        arguments.push("-Clink-arg=-Thardware.x");
    }
    let linked = rustc(&folder, &arguments);
    std::fs::remove_dir_all(&folder).unwrap();
    (linked.status.success(), String::from_utf8_lossy(&linked.stderr).into_owned())
}

#[test]
fn an_image_for_hardware_that_trusts_an_emulators_seed_does_not_link() {
    let marked = "wasmbed_emulated_entropy::is_trusted()";
    let (linked, error) = link(marked, true);
    assert!(!linked);
    assert!(error.contains("this image trusts a seed that only an emulator's host renews"), "{error}");
    let (linked, error) = link(marked, false);
    assert!(linked, "{error}");
    let (linked, error) = link("false", true);
    assert!(linked, "{error}");
}
