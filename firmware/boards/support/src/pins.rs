//! A board's pins by name, so that one module runs on every board.

use core::time::Duration;

use wasmbed_runtime::{Errno, PinMode};

/// One named pin of a board.
pub struct Pin {
    /// Its name: `led0`, `button0`, `adc0`.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
}

/// What a pin is, and how it is reached.
pub enum Kind {
    /// Driven by the application.
    Output {
        /// Drives it.
        write: fn(bool),
        /// What it is driven to.
        read: fn() -> bool,
    },
    /// Read by the application.
    Input(fn() -> bool),
    /// An analogue input, in millivolts.
    Analogue(fn() -> u32),
    /// No converter, but a source that follows from the time since the start, in millivolts. On emulators only, and the
    /// device's features say `adc-simulated`.
    Simulated(fn(Duration) -> u32),
}

/// A slow triangle from 1,300 to 2,000 mV, once a minute.
#[must_use]
pub fn triangle(since_start: Duration) -> u32 {
    const PERIOD_MS: u32 = 60_000;
    const LOWEST_MV: u32 = 1_300;
    const HIGHEST_MV: u32 = 2_000;
    let phase = (since_start.as_millis() % u128::from(PERIOD_MS)) as u32;
    let rising = phase.min(PERIOD_MS - phase);
    LOWEST_MV + rising * (HIGHEST_MV - LOWEST_MV) / (PERIOD_MS / 2)
}

/// Finds a digital pin that can be used so; its number among the board's pins.
///
/// # Errors
/// There is none of that name, or it is for something else.
pub fn open(pins: &[Pin], name: &str, mode: PinMode) -> Result<u32, Errno> {
    let (number, pin) = find(pins, name)?;
    match (&pin.kind, mode) {
        (Kind::Output { .. }, PinMode::Output) | (Kind::Input(_), PinMode::Input) => Ok(number),
        (Kind::Output { .. } | Kind::Input(_), _) => Err(Errno::NOTSUP),
        (Kind::Analogue(_) | Kind::Simulated(_), _) => Err(Errno::NOENT),
    }
}

/// Finds an analogue input; its number among the board's pins.
///
/// # Errors
/// There is none of that name.
pub fn open_input(pins: &[Pin], name: &str) -> Result<u32, Errno> {
    match find(pins, name)? {
        (number, Pin { kind: Kind::Analogue(_) | Kind::Simulated(_), .. }) => Ok(number),
        _ => Err(Errno::NOENT),
    }
}

fn find<'a>(pins: &'a [Pin], name: &str) -> Result<(u32, &'a Pin), Errno> {
    (0..).zip(pins).find(|(_, pin)| pin.name == name).ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PINS: &[Pin] = &[
        Pin { name: "led0", kind: Kind::Output { write: |_| {}, read: || false } },
        Pin { name: "button0", kind: Kind::Input(|| true) },
        Pin { name: "adc0", kind: Kind::Simulated(triangle) },
    ];

    #[test]
    fn a_pin_that_is_not_there_or_the_other_way_round_is_refused() {
        assert_eq!(open(PINS, "led0", PinMode::Output), Ok(0));
        assert_eq!(open(PINS, "button0", PinMode::Input), Ok(1));
        assert_eq!(open_input(PINS, "adc0"), Ok(2));
        assert_eq!(open(PINS, "led9", PinMode::Output), Err(Errno::NOENT));
        assert_eq!(open(PINS, "adc0", PinMode::Input), Err(Errno::NOENT));
        assert_eq!(open(PINS, "led0", PinMode::Input), Err(Errno::NOTSUP));
        assert_eq!(open(PINS, "button0", PinMode::Output), Err(Errno::NOTSUP));
        assert_eq!(open_input(PINS, "led0"), Err(Errno::NOENT));
    }

    #[test]
    fn the_simulated_voltage_rises_and_falls_within_its_bounds() {
        let at = |ms| triangle(Duration::from_millis(ms));
        assert_eq!([at(0), at(15_000), at(30_000), at(45_000), at(60_000)], [1300, 1650, 2000, 1650, 1300]);
    }
}
