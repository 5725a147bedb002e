//! Where the program and its memory lie.

use std::path::PathBuf;
use std::{env, fs};

/// Flash of 1 MiB, of which the flash region (`wasmbed_chip_flash::map`) has the upper quarter. The chip reads its configuration
/// at 0x400, behind the vectors. Of 256 KiB of RAM, a quarter lies below 0x2000_0000: one piece, which no access may cross.
const MEMORY: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 768K
  RAM : ORIGIN = 0x20000000, LENGTH = 192K
  LOWER : ORIGIN = 0x1FFF0000, LENGTH = 64K
}
_stext = 0x410;
SECTIONS
{
  .flash_config 0x400 :
  {
    KEEP(*(.flash_config));
    ASSERT(. == 0x410, \"the flash configuration field has 16 bytes\");
  } > FLASH
} INSERT AFTER .vector_table;
SECTIONS
{
  .lower (NOLOAD) : ALIGN(8)
  {
    *(.lower .lower.*);
  } > LOWER
} INSERT AFTER .uninit;
/* Not where that section ends. */
_stack_end = __euninit;
__sheap = __euninit;
";

fn main() -> std::io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    fs::write(out.join("memory.x"), MEMORY)?;
    fs::write(out.join("hardware.x"), wasmbed_emulated_entropy::HARDWARE_SCRIPT)?;
    // The interrupts' handlers stand in their table already.
    fs::write(out.join("device.x"), "")?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-arg-bins=--nmagic");
    println!("cargo:rustc-link-arg-bins=-Tlink.x");
    println!("cargo:rustc-link-arg-bins=-Thardware.x");
    // Functions that compile to the same code are there once.
    println!("cargo:rustc-link-arg-bins=--icf=all");
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
