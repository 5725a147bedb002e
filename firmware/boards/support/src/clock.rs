//! The time of day, as the gateway told it.

use core::cell::Cell;

use critical_section::Mutex;
use embassy_time::Instant;

/// Unix milliseconds when the device started.
static START: Mutex<Cell<Option<u64>>> = Mutex::new(Cell::new(None));

/// Sets it: what it is now.
pub fn set(unix_ms: Option<u64>) {
    let start = unix_ms.map(|now| now.saturating_sub(Instant::now().as_millis()));
    critical_section::with(|cs| START.borrow(cs).set(start));
}

/// Unix milliseconds now, if anybody told.
#[must_use]
pub fn unix_time_ms() -> Option<u64> {
    let start = critical_section::with(|cs| START.borrow(cs).get())?;
    Some(start.saturating_add(Instant::now().as_millis()))
}
