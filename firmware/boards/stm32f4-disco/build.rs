//! Where the program and its memory lie.

use std::path::PathBuf;
use std::{env, fs};

/// The vectors have the first sector of the flash; then come sectors of the flash region (`wasmbed_chip_flash::map`), and from
/// 0x0802_0000 on the program. The core-coupled RAM, which no DMA reaches, holds the agent's heap.
const MEMORY: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x08000000, LENGTH = 768K
  RAM : ORIGIN = 0x20000000, LENGTH = 128K
  CCM : ORIGIN = 0x10000000, LENGTH = 64K
}
_stext = 0x08020000;
SECTIONS
{
  .ccm (NOLOAD) : ALIGN(8)
  {
    *(.ccm .ccm.*);
  } > CCM
} INSERT AFTER .uninit;
/* Not where that section ends. */
_stack_end = __euninit;
__sheap = __euninit;
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
