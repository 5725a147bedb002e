//! The host's end of a UART link: a device on a serial line reaches its gateway through it, and it can read nothing of what
//! the two say.
//!
//! [`serve`] drives one line, whatever it is: a serial port, a pseudo-terminal, the Unix socket of an emulator. [`run`] opens
//! a [`Port`] and opens it again whenever it is lost. What goes on is told to an [`Observer`].

mod bridge;
mod event;
mod lines;
mod port;
mod registered;
mod run;

pub use bridge::{LineError, serve};
pub use event::{Event, Observer};
pub use port::{BAUD_RATES, Port, PortError, PortStream};
pub use run::run;

/// What a line may do.
#[derive(Clone)]
pub struct Options {
    /// The gateways a device may reach; no others.
    pub gateways: Vec<Gateway>,
    /// Is told what goes on.
    pub observer: Observer,
}

/// A gateway that a device may reach.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Gateway {
    /// The address as the device is provisioned with it (`host:port`).
    pub named: String,
    /// Where it is reached from here (`host:port`).
    pub address: String,
}

impl Gateway {
    /// One that is reached where the device thinks it is.
    #[must_use]
    pub fn at(address: &str) -> Self {
        Self { named: address.to_owned(), address: address.to_owned() }
    }
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("gateways", &self.gateways).finish_non_exhaustive()
    }
}
