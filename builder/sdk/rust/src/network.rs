//! The network, as far as an application sees it; granted in `capabilities.network`.

use core::time::Duration;

use crate::{Error, host};

/// Asks whether something answers at `host` and `port`, and how long the round trip takes.
///
/// # Errors
/// [`Error::NotGranted`], [`Error::Refused`], [`Error::Unreachable`], [`Error::TimedOut`].
pub fn probe(host: &str, port: u16, timeout: Duration) -> Result<Duration, Error> {
    let timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    // SAFETY: the host reads the name and keeps nothing.
    match unsafe { host::net_probe(host.as_ptr(), host.len(), port.into(), timeout) } {
        microseconds @ 0.. => Ok(Duration::from_micros(microseconds.cast_unsigned())),
        answer => Err(Error::from_host(answer)),
    }
}
