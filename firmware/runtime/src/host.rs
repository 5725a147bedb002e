//! What a platform gives its applications. The runtime checks pointers, sizes, grants and rates before it calls any of this,
//! so an implementation only does the thing asked for.

use core::fmt;
use core::time::Duration;

/// How urgent a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Something failed; also what a program writes to standard error.
    Error,
    /// Something a person may want to look at.
    Warn,
    /// What a person would like to read; also what a program writes to standard output.
    Info,
    /// Detail for the author.
    Debug,
}

/// Where a log line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Standard output: `println!`. Its level is [`Level::Info`].
    Output,
    /// The log at a level; also standard error, at [`Level::Error`].
    Log,
    /// The runtime itself, about the application: lines dropped.
    Runtime,
}

/// One line an application wrote, without its line break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line<'a> {
    /// How urgent it is.
    pub level: Level,
    /// Where it comes from.
    pub origin: Origin,
    /// At most [`crate::LINE_BYTES`] bytes; longer lines come in pieces. Control characters are replaced by spaces and
    /// invalid UTF-8 by U+FFFD.
    pub text: &'a str,
}

/// The direction of a GPIO pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PinMode {
    /// The application reads it.
    Input,
    /// The application drives it.
    Output,
}

/// Why a host function could not do what was asked: a WASI preview 1 error number, which the application sees negated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Errno(pub u16);

impl Errno {
    /// Try again later: a rate is exceeded.
    pub const AGAIN: Self = Self(6);
    /// No such handle.
    pub const BADF: Self = Self(8);
    /// The thing is in use.
    pub const BUSY: Self = Self(10);
    /// The peer refused.
    pub const CONNREFUSED: Self = Self(14);
    /// A pointer reaches outside of the application's memory.
    pub const FAULT: Self = Self(21);
    /// The peer's name or address is not known.
    pub const HOSTUNREACH: Self = Self(23);
    /// An argument makes no sense.
    pub const INVAL: Self = Self(28);
    /// The hardware failed.
    pub const IO: Self = Self(29);
    /// Too many things are open.
    pub const MFILE: Self = Self(33);
    /// A message is too long.
    pub const MSGSIZE: Self = Self(35);
    /// There is no network.
    pub const NETUNREACH: Self = Self(40);
    /// There is no such device.
    pub const NODEV: Self = Self(43);
    /// There is no such key, argument or pin.
    pub const NOENT: Self = Self(44);
    /// Not offered.
    pub const NOSYS: Self = Self(52);
    /// Not supported here.
    pub const NOTSUP: Self = Self(58);
    /// It took too long.
    pub const TIMEDOUT: Self = Self(73);
    /// The application has no grant for it.
    pub const NOTCAPABLE: Self = Self(76);
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error number {}", self.0)
    }
}

impl core::error::Error for Errno {}

/// What a platform gives one application. Calls come from the application's own thread, one at a time; a call should return
/// soon, as an application in a call cannot be stopped until it returns ([`Host::net_probe`] has a bound for that).
pub trait Host: Send {
    /// The module is loaded and its `_start` is about to be called: the first call of all, or none.
    fn started(&mut self) {}

    /// Takes a line of log.
    fn log(&mut self, line: Line<'_>);

    /// Takes a message for `topic`, at most [`crate::TOPIC_BYTES`]; `payload` is at most [`crate::PAYLOAD_BYTES`] bytes,
    /// meant to be one CBOR data item, not yet checked to be.
    fn publish(&mut self, topic: &str, payload: &[u8]) -> Result<(), Errno>;

    /// Time since the device started.
    fn uptime(&mut self) -> Duration;

    /// Milliseconds since 1970-01-01 UTC, if the device knows.
    fn unix_time_ms(&mut self) -> Option<u64>;

    /// Fills `bytes` with random ones.
    fn random(&mut self, bytes: &mut [u8]) -> Result<(), Errno>;

    /// Opens the pin of that name. The number returned is the platform's own and never seen by the application.
    fn gpio_open(&mut self, name: &str, mode: PinMode) -> Result<u32, Errno> {
        let _ = (name, mode);
        Err(Errno::NODEV)
    }

    /// Drives a pin opened as output.
    fn gpio_write(&mut self, pin: u32, high: bool) -> Result<(), Errno> {
        let _ = (pin, high);
        Err(Errno::NODEV)
    }

    /// Reads a pin.
    fn gpio_read(&mut self, pin: u32) -> Result<bool, Errno> {
        let _ = pin;
        Err(Errno::NODEV)
    }

    /// Opens the analogue input of that name. The number returned is the platform's own.
    fn adc_open(&mut self, name: &str) -> Result<u32, Errno> {
        let _ = name;
        Err(Errno::NODEV)
    }

    /// Reads an analogue input, in millivolts.
    fn adc_read(&mut self, input: u32) -> Result<u32, Errno> {
        let _ = input;
        Err(Errno::NODEV)
    }

    /// Opens a connection to the peer and closes it; answers the round trip. Must return within `timeout`, which is at most
    /// [`crate::PROBE_TIMEOUT`].
    fn net_probe(&mut self, host: &str, port: u16, timeout: Duration) -> Result<Duration, Errno> {
        let _ = (host, port, timeout);
        Err(Errno::NETUNREACH)
    }
}
