//! Firmware of the MPS2 AN386 (Cortex-M4F).

#![no_std]
#![no_main]

use wasmbed_mps2::Image;

#[cortex_m_rt::entry]
fn main() -> ! {
    wasmbed_mps2::run(Image::An386)
}
