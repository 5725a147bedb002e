//! A port that is served for as long as somebody wants it.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::event::Event;
use crate::port::{Port, PortError};
use crate::{Options, serve};

/// Waits before a port is opened again: at first, and at most, doubled in between.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));
/// A line that was there for so long starts its back-off anew.
const HEALTHY: Duration = Duration::from_secs(10);

/// Opens a port and [serves](serve) it until `shutdown` completes. A port that is not there, or is lost, is tried again.
///
/// # Errors
/// When the port can never be opened: it is none, or has no such speed.
pub async fn run(port: &Port, options: &Options, shutdown: impl Future<Output = ()>) -> Result<(), PortError> {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut wait = BACK_OFF.0;
    loop {
        let error = match port.open().await {
            Ok(line) => {
                (options.observer)(Event::PortOpened);
                let opened = Instant::now();
                match serve(line, options, &mut shutdown).await {
                    Ok(()) => return Ok(()),
                    Err(error) => {
                        if opened.elapsed() >= HEALTHY {
                            wait = BACK_OFF.0;
                        }
                        error.to_string()
                    }
                }
            }
            Err(error) if error.may_pass() => error.to_string(),
            Err(error) => return Err(error),
        };
        (options.observer)(Event::PortLost { error, again: wait });
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            () = sleep(wait) => {}
        }
        wait = (2 * wait).min(BACK_OFF.1);
    }
}
