//! Where the program and its memory lie.

use std::path::PathBuf;
use std::{env, fs};

/// Flash of 1 MiB, all of it the program's (the flash region lies in the quad SPI's flash), and 320 KiB of RAM.
const MEMORY: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x08000000, LENGTH = 1024K
  RAM : ORIGIN = 0x20000000, LENGTH = 320K
}
";

fn main() -> std::io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    fs::write(out.join("memory.x"), MEMORY)?;
    fs::write(out.join("hardware.x"), wasmbed_emulated_entropy::HARDWARE_SCRIPT)?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Thardware.x");
    // Functions that compile to the same code are there once.
    println!("cargo:rustc-link-arg-bins=--icf=all");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
