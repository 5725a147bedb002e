//! Where the programs of these images and their memory lie; the same for all three.

use std::path::PathBuf;
use std::{env, fs};

/// Code at 0 (4 MiB), SRAM at 0x2000_0000 (4 MiB). The PSRAM is the flash region and the applications' memory.
const MEMORY: &str = "\
MEMORY
{
  FLASH : ORIGIN = 0x00000000, LENGTH = 4M
  RAM : ORIGIN = 0x20000000, LENGTH = 4M
}
";

fn main() -> std::io::Result<()> {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("Cargo sets it"));
    fs::write(out.join("memory.x"), MEMORY)?;
    // The interrupts' handlers stand in their table already.
    fs::write(out.join("device.x"), "")?;
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rerun-if-changed=build.rs");
    Ok(())
}
