//! The board's LEDs, a button and an analogue input, under the names that applications use.

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_stm32::Peri;
use embassy_stm32::adc::{Adc, SampleTime};
use embassy_stm32::gpio::{Input, Level, Output, Pull, Speed};
use embassy_stm32::peripherals::{ADC1, PA0, PA1, PD12, PD13};
use wasmbed_board::pins::{Kind, Pin};

/// The green and the orange LED; the blue button, high while it is pressed; PA1.
static PINS: &[Pin] = &[
    Pin { name: "led0", kind: Kind::Output { write: |on| light(0, on), read: || is_lit(0) } },
    Pin { name: "led1", kind: Kind::Output { write: |on| light(1, on), read: || is_lit(1) } },
    Pin { name: "button0", kind: Kind::Input(is_pressed) },
    Pin { name: "adc0", kind: Kind::Analogue(millivolts) },
];

type Converter = (Adc<'static, ADC1>, Peri<'static, PA1>);

static LEDS: Mutex<RefCell<[Option<Output<'static>>; 2]>> = Mutex::new(RefCell::new([None, None]));
static BUTTON: Mutex<RefCell<Option<Input<'static>>>> = Mutex::new(RefCell::new(None));
static CONVERTER: Mutex<RefCell<Option<Converter>>> = Mutex::new(RefCell::new(None));

/// The board's supply, to which the chip's reference is tied.
const REFERENCE_MV: u32 = 3_000;
const FULL_SCALE: u32 = 4_095;

/// Sets them up.
pub(crate) fn start(
    led0: Peri<'static, PD12>,
    led1: Peri<'static, PD13>,
    button: Peri<'static, PA0>,
    converter: Peri<'static, ADC1>,
    input: Peri<'static, PA1>,
) -> &'static [Pin] {
    let leds = [Output::new(led0, Level::Low, Speed::Low), Output::new(led1, Level::Low, Speed::Low)];
    let button = Input::new(button, Pull::None);
    let converter = Adc::new(converter);
    critical_section::with(|cs| {
        *LEDS.borrow_ref_mut(cs) = leds.map(Some);
        *BUTTON.borrow_ref_mut(cs) = Some(button);
        *CONVERTER.borrow_ref_mut(cs) = Some((converter, input));
    });
    PINS
}

fn light(led: usize, on: bool) {
    critical_section::with(|cs| {
        if let Some(led) = &mut LEDS.borrow_ref_mut(cs)[led] {
            led.set_level(on.into());
        }
    });
}

fn is_lit(led: usize) -> bool {
    critical_section::with(|cs| LEDS.borrow_ref(cs)[led].as_ref().is_some_and(Output::is_set_high))
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
