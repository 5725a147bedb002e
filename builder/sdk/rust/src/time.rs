use core::time::Duration;

use crate::host;

/// The time since the device started.
#[must_use]
pub fn uptime() -> Duration {
    Duration::from_millis(host::uptime_ms().cast_unsigned())
}

/// The time since 1970 in UTC; `None` while the device does not know it.
#[must_use]
pub fn unix_time() -> Option<Duration> {
    match host::time_ms() {
        milliseconds @ 1.. => Some(Duration::from_millis(milliseconds.cast_unsigned())),
        _ => None,
    }
}

/// Sleeps at least this long. A sleeping application uses no CPU time of the device.
pub fn sleep(duration: Duration) {
    let mut left = duration.as_millis();
    // A part of a millisecond is rounded up, so that a loop that sleeps always sleeps.
    if !duration.subsec_nanos().is_multiple_of(1_000_000) {
        left += 1;
    }
    while left > 0 {
        let now = u32::try_from(left).unwrap_or(u32::MAX);
        host::sleep_ms(now);
        left -= u128::from(now);
    }
}
