//! The board's LEDs, a button and an analogue input, under the names that applications use.

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_stm32::Peri;
use embassy_stm32::adc::{Adc, SampleTime};
use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
use embassy_stm32::peripherals::{ADC1, PA0, PI1, PI11};
use wasmbed_board::pins::{Kind, Pin};

/// The green LED; the blue button, high while it is pressed; A0 of the Arduino header.
static PINS: &[Pin] = &[
    Pin { name: "led0", kind: Kind::Output { write: light, read: is_lit } },
    Pin { name: "button0", kind: Kind::Input(is_pressed) },
    Pin { name: "adc0", kind: Kind::Analogue(millivolts) },
];

type Converter = (Adc<'static, ADC1>, Peri<'static, PA0>);

static LED: Mutex<RefCell<Option<Output<'static>>>> = Mutex::new(RefCell::new(None));
static BUTTON: Mutex<RefCell<Option<Input<'static>>>> = Mutex::new(RefCell::new(None));
static CONVERTER: Mutex<RefCell<Option<Converter>>> = Mutex::new(RefCell::new(None));

/// The board's supply, to which the chip's reference is tied.
const REFERENCE_MV: u32 = 3_300;
const FULL_SCALE: u32 = 4_095;

/// Sets them up.
pub(crate) fn start(
    led: Peri<'static, PI1>,
    button: Peri<'static, PI11>,
    converter: Peri<'static, ADC1>,
    input: Peri<'static, PA0>,
) -> &'static [Pin] {
    let led = Output::new(led, Level::Low, Speed::Low);
    let button = Input::new(button, Pull::None);
    let converter = Adc::new(converter);
    critical_section::with(|cs| {
        *LED.borrow_ref_mut(cs) = Some(led);
        *BUTTON.borrow_ref_mut(cs) = Some(button);
        *CONVERTER.borrow_ref_mut(cs) = Some((converter, input));
    });
    PINS
}

fn light(on: bool) {
    critical_section::with(|cs| {
        if let Some(led) = &mut *LED.borrow_ref_mut(cs) {
            led.set_level(on.into());
        }
    });
}

fn is_lit() -> bool {
    critical_section::with(|cs| LED.borrow_ref(cs).as_ref().is_some_and(Output::is_set_high))
}

fn is_pressed() -> bool {
    critical_section::with(|cs| BUTTON.borrow_ref(cs).as_ref().is_some_and(Input::is_high))
}

/// Waits for the conversion, some microseconds.
fn millivolts() -> u32 {
    critical_section::with(|cs| match &mut *CONVERTER.borrow_ref_mut(cs) {
        Some((converter, input)) => {
            u32::from(converter.blocking_read(input, SampleTime::CYCLES480)) * REFERENCE_MV / FULL_SCALE
        }
        None => 0,
    })
}
