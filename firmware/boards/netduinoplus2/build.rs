//! Where the program and its memory lie.

use std::path::PathBuf;
use std::{env, fs};

/// Flash at 0x0800_0000 (1 MiB). QEMU has 192 KiB of SRAM in one piece; in its midst lies the flash region, which `src/region.rs`
/// divides, and behind that the applications' memory.
const MEMORY: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x08000000, LENGTH = 1024K
  RAM : ORIGIN = 0x20000000, LENGTH = 124K
  UPPER : ORIGIN = 0x20026000, LENGTH = 40K
}
SECTIONS
{
  .upper (NOLOAD) : ALIGN(8)
  {
    *(.upper .upper.*);
  } > UPPER
} INSERT AFTER .uninit;
/* Not where that section ends. */
_stack_end = __euninit;
__sheap = __euninit;
";

fn main() -> std::io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    fs::write(out.join("memory.x"), MEMORY)?;
    // The interrupts' handlers stand in their table already.
    fs::write(out.join("device.x"), "")?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    // Functions that compile to the same code are there once.
    println!("cargo:rustc-link-arg-bins=--icf=all");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
