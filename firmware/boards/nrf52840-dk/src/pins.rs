//! The board's LEDs, a button and an analogue input, under the names that applications use.
//!
//! Host functions are called one at a time and never from an interrupt, so each pin is taken out of its place and put back.

use core::cell::RefCell;

use critical_section::Mutex;
use embassy_futures::block_on;
use embassy_nrf::Peri;
use embassy_nrf::gpio::{Input, Level, Output, OutputDrive, Pull};
use embassy_nrf::interrupt::typelevel::Binding;
use embassy_nrf::peripherals::{P0_02, P0_11, P0_13, P0_14, SAADC};
use embassy_nrf::saadc::{self, ChannelConfig, Saadc};
use wasmbed_board::pins::{Kind, Pin};

/// LED1 and LED2, lit by a low level; button 1, low while it is pressed; AIN0 (P0.02).
static PINS: &[Pin] = &[
    Pin { name: "led0", kind: Kind::Output { write: |on| light(0, on), read: || is_lit(0) } },
    Pin { name: "led1", kind: Kind::Output { write: |on| light(1, on), read: || is_lit(1) } },
    Pin { name: "button0", kind: Kind::Input(is_pressed) },
    Pin { name: "adc0", kind: Kind::Analogue(millivolts) },
];

static LEDS: Mutex<RefCell<[Option<Output<'static>>; 2]>> = Mutex::new(RefCell::new([None, None]));
static BUTTON: Mutex<RefCell<Option<Input<'static>>>> = Mutex::new(RefCell::new(None));
static CONVERTER: Mutex<RefCell<Option<Saadc<'static, 1>>>> = Mutex::new(RefCell::new(None));

/// A sixth of the signal against a reference of 600 mV: what the HAL sets.
const FULL_SCALE_MV: u32 = 3_600;
/// 12 bits.
const STEPS: u32 = 4_096;

/// Sets them up.
pub(crate) fn start(
    led0: Peri<'static, P0_13>,
    led1: Peri<'static, P0_14>,
    button: Peri<'static, P0_11>,
    converter: Peri<'static, SAADC>,
    input: Peri<'static, P0_02>,
    interrupt: impl Binding<embassy_nrf::interrupt::typelevel::SAADC, saadc::InterruptHandler> + 'static,
) -> &'static [Pin] {
    let leds =
        [Output::new(led0, Level::High, OutputDrive::Standard), Output::new(led1, Level::High, OutputDrive::Standard)];
    let button = Input::new(button, Pull::Up);
    let channel = ChannelConfig::single_ended(input);
    let converter = Saadc::new(converter, interrupt, saadc::Config::default(), [channel]);
    critical_section::with(|cs| {
        *LEDS.borrow_ref_mut(cs) = leds.map(Some);
        *BUTTON.borrow_ref_mut(cs) = Some(button);
        *CONVERTER.borrow_ref_mut(cs) = Some(converter);
    });
    PINS
}

fn light(led: usize, on: bool) {
    critical_section::with(|cs| {
        if let Some(led) = &mut LEDS.borrow_ref_mut(cs)[led] {
            led.set_level(if on { Level::Low } else { Level::High });
        }
    });
}

fn is_lit(led: usize) -> bool {
    critical_section::with(|cs| LEDS.borrow_ref(cs)[led].as_ref().is_some_and(Output::is_set_low))
}

fn is_pressed() -> bool {
    critical_section::with(|cs| BUTTON.borrow_ref(cs).as_ref().is_some_and(Input::is_low))
}

/// Waits for the conversion, 15 µs, outside of the critical section: an interrupt ends it.
fn millivolts() -> u32 {
    let Some(mut converter) = critical_section::with(|cs| CONVERTER.borrow_ref_mut(cs).take()) else { return 0 };
    let mut sample = [0];
    block_on(converter.sample(&mut sample));
    critical_section::with(|cs| *CONVERTER.borrow_ref_mut(cs) = Some(converter));
    // A little below 0 is noise.
    u32::try_from(sample[0]).unwrap_or(0) * FULL_SCALE_MV / STEPS
}
