//! What a link tells whoever watches it.

use std::sync::Arc;
use std::time::Duration;

/// One thing that happened. Texts that come from the device are its own words: do not trust them with a terminal.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Event {
    /// The port is open.
    PortOpened,
    /// The port cannot be opened, or is lost; it is opened again.
    PortLost {
        /// Why.
        error: String,
        /// After which time.
        again: Duration,
    },
    /// A device is connected to a gateway.
    Opened {
        /// As the device named it.
        address: String,
    },
    /// A device asked for a gateway and was not connected.
    Refused {
        /// As the device named it.
        address: String,
        /// Why.
        reason: String,
    },
    /// A connection ended.
    Ended {
        /// As the device named the gateway.
        address: String,
        /// Why.
        reason: String,
        /// Bytes from the device to the gateway.
        up: u64,
        /// Bytes from the gateway to the device.
        down: u64,
    },
    /// A line of the device's own log, without its end.
    Log {
        /// The text.
        text: String,
        /// Whether text before it is missing.
        after_gap: bool,
    },
}

/// Is told every [`Event`], on the task that serves the line: it must not wait.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;
