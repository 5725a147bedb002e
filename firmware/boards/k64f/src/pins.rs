//! The board's LEDs, a button and an analogue input, under the names that applications use.

use wasmbed_board::pins::{Kind, Pin};

use crate::clock;
use crate::registers::{ADC0, GPIO_B, GPIO_C, GPIO_E, PORT_B, PORT_C, PORT_E, Registers};

const SET: u32 = 0x04;
const CLEAR: u32 = 0x08;
const OUTPUT: u32 = 0x00;
const INPUT: u32 = 0x10;
const DIRECTION: u32 = 0x14;
const ALTERNATIVE_1: u32 = 1 << 8;
const PULL_UP: u32 = 0b11;

/// The red and the green LED, lit by a low level; SW2, low while it is pressed; A0 of the Arduino header (PTB2).
static PINS: &[Pin] = &[
    Pin { name: "led0", kind: Kind::Output { write: |on| light(GPIO_B, 22, on), read: || !level(GPIO_B, OUTPUT, 22) } },
    Pin { name: "led1", kind: Kind::Output { write: |on| light(GPIO_E, 26, on), read: || !level(GPIO_E, OUTPUT, 26) } },
    Pin { name: "button0", kind: Kind::Input(|| !level(GPIO_C, INPUT, 6)) },
    Pin { name: "adc0", kind: Kind::Analogue(millivolts) },
];

const CHANNEL: u32 = 12;
const CONTROL: u32 = 0x00;
const CONFIGURATION_1: u32 = 0x08;
const RESULT: u32 = 0x10;
const STATUS_3: u32 = 0x24;
const PLUS_SIDE: u32 = 0x2C;
const PLUS_SIDE_GAINS: [u32; 7] = [0x34, 0x38, 0x3C, 0x40, 0x44, 0x48, 0x4C];
const DONE: u32 = 1 << 7;
/// 12 bits, the bus's clock of 60 MHz by 2 and 8, a long sample.
const TWELVE_BITS: u32 = 1 << 2 | 3 << 5 | 1 << 4 | 1;
const CALIBRATE: u32 = 1 << 7;
const CALIBRATION_FAILED: u32 = 1 << 6;
/// And 32 samples averaged, for the calibration and after it.
const AVERAGE: u32 = 1 << 2 | 3;
/// The board ties its reference to the supply.
const REFERENCE_MV: u32 = 3_300;
const FULL_SCALE: u32 = 4_095;
/// How often the converter is asked before it counts as stuck; a conversion takes 300 µs.
const PATIENCE: u32 = 100_000;

/// Sets them up.
pub(crate) fn start() -> &'static [Pin] {
    for port in [10, 11, 13] {
        clock::gate(5, port);
    }
    for (port, gpio, pin) in [(PORT_B, GPIO_B, 22), (PORT_E, GPIO_E, 26)] {
        light(gpio, pin, false);
        port.write(4 * pin, ALTERNATIVE_1);
        gpio.set(DIRECTION, 1 << pin);
    }
    PORT_C.write(4 * 6, ALTERNATIVE_1 | PULL_UP);
    // Function 0 is the analogue one.
    PORT_B.write(4 * 2, 0);
    clock::gate(6, 27);
    ADC0.write(CONFIGURATION_1, TWELVE_BITS);
    ADC0.write(STATUS_3, CALIBRATE | CALIBRATION_FAILED | AVERAGE);
    let calibrated = (0..PATIENCE).any(|_| ADC0.read(STATUS_3) & CALIBRATE == 0);
    if calibrated && ADC0.read(STATUS_3) & CALIBRATION_FAILED == 0 {
        let sum = PLUS_SIDE_GAINS.iter().fold(0, |sum: u32, register| sum.wrapping_add(ADC0.read(*register)));
        ADC0.write(PLUS_SIDE, (sum & 0xFFFF) >> 1 | 1 << 15);
    }
    PINS
}

fn light(gpio: Registers, pin: u32, on: bool) {
    gpio.write(if on { CLEAR } else { SET }, 1 << pin);
}

fn level(gpio: Registers, register: u32, pin: u32) -> bool {
    gpio.read(register) & 1 << pin != 0
}

fn millivolts() -> u32 {
    ADC0.write(CONTROL, CHANNEL);
    let done = (0..PATIENCE).any(|_| ADC0.read(CONTROL) & DONE != 0);
    if done { ADC0.read(RESULT) * REFERENCE_MV / FULL_SCALE } else { 0 }
}
