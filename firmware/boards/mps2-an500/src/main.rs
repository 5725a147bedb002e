//! Firmware of the MPS2 AN500 (Cortex-M7).

#![no_std]
#![no_main]

use wasmbed_mps2::Image;

#[cortex_m_rt::entry]
fn main() -> ! {
    wasmbed_mps2::run(Image::An500)
}
