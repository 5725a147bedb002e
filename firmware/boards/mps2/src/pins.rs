//! FPGAIO's LEDs and buttons under the names that applications use, and an analogue input that these images do not have.

use wasmbed_board::pins::{Kind, Pin, triangle};

use crate::registers::FPGAIO;

const LEDS: u32 = 0x00;
const BUTTONS: u32 = 0x08;

/// The pins. What applications print about `adc0` is simulated, as the device's features say.
pub(crate) static PINS: &[Pin] = &[
    Pin { name: "led0", kind: Kind::Output { write: |on| write(0, on), read: || read(LEDS, 0) } },
    Pin { name: "led1", kind: Kind::Output { write: |on| write(1, on), read: || read(LEDS, 1) } },
    Pin { name: "button0", kind: Kind::Input(|| read(BUTTONS, 0)) },
    Pin { name: "button1", kind: Kind::Input(|| read(BUTTONS, 1)) },
    Pin { name: "adc0", kind: Kind::Simulated(triangle) },
];

fn read(register: u32, bit: u32) -> bool {
    FPGAIO.read(register) & 1 << bit != 0
}

fn write(bit: u32, on: bool) {
    // Applications take turns in the middle of anything but host functions, where this is called: nobody is between the two.
    let others = FPGAIO.read(LEDS) & !(1 << bit);
    FPGAIO.write(LEDS, others | u32::from(on) << bit);
}
