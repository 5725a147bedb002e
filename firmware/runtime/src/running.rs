//! An application on a thread of its own.

use crate::{Application, Host, Outcome, StartError, Stats};

/// Loads, checks and starts an application on a thread of its own. `host` gives it what it may reach; `ended` is called
/// once on that thread, after the application's memory is freed.
///
/// Loading happens here, in the caller's thread: an `Err` means that nothing runs and `ended` is never called.
pub fn start(
    application: &Application<'_>,
    host: Box<dyn Host>,
    ended: impl FnOnce(Outcome, Stats) + Send + 'static,
) -> Result<Running, StartError> {
    let _ = (application, host, ended);
    Err(StartError::NoEntry)
}

/// A running application. Dropping it stops the application and waits for its end.
#[derive(Debug)]
pub struct Running {}

impl Running {
    /// Asks it to end and returns at once. It ends within milliseconds, be it in an endless loop, held back or asleep;
    /// in a call of [`Host`] it ends when that returns.
    pub fn stop(&self) {}

    /// Whether it has ended.
    pub fn is_ended(&self) -> bool {
        true
    }

    /// What it has used so far.
    pub fn stats(&self) -> Stats {
        Stats::default()
    }

    /// Waits for its end.
    pub fn wait(self) -> (Outcome, Stats) {
        (Outcome::Stopped, Stats::default())
    }
}
