//! What the agent asks of the platform.

use alloc::string::String;
use alloc::vec::Vec;

use wasmbed_protocol::message::Level;
use wasmbed_protocol::signed::{Capabilities, Limits};

use crate::event::{Connection, Instance};
use crate::store;

/// One thing for the platform to do. The platform takes them in order; those that complete tell it by an
/// [`Event`](crate::Event).
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open a byte stream to a gateway; answered by `Connected` or `Disconnected`.
    Connect {
        /// Names the connection from now on.
        connection: Connection,
        /// `host:port`.
        address: String,
    },
    /// Send bytes, in order; answered by `Sent`. The agent gives no second one before that.
    Send {
        /// The connection.
        connection: Connection,
        /// At most [`MAX_SEND`](crate::MAX_SEND) bytes.
        bytes: Vec<u8>,
    },
    /// Close the connection once the bytes given before are sent. Not answered.
    Close {
        /// The connection.
        connection: Connection,
    },
    /// Read, program or erase flash; answered by `Flash`. There is one at a time.
    Flash(store::Action),
    /// Start an application; answered by `Started` or `Refused`.
    Start(StartApplication),
    /// End a run; answered by the run's last event (`Stopped`, unless it ended by itself just then).
    Stop {
        /// The run.
        instance: Instance,
    },
    /// Write a line to the device's own log (a UART, standard error).
    Log {
        /// How much it matters.
        level: Level,
        /// The text, without a line end.
        text: String,
    },
}

/// Everything a run of an application needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartApplication {
    /// Names the run from now on.
    pub instance: Instance,
    /// The application's name.
    pub application: String,
    /// Where the verified module lies.
    pub module: ModuleLocation,
    /// Arguments, without the program's name.
    pub arguments: Vec<String>,
    /// Environment and configuration: what `config(key)` and `environ_get` answer.
    pub environment: Vec<(String, String)>,
    /// What the run may use; the platform enforces it.
    pub limits: Limits,
    /// What the run may touch; the platform enforces it.
    pub capabilities: Capabilities,
}

/// Where a module lies in the store's flash region: one piece, contiguous, verified against its digest since
/// the device started. It stays there unchanged for as long as the run lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModuleLocation {
    /// First byte, from the start of the store's region.
    pub offset: u32,
    /// Length in bytes.
    pub size: u32,
    /// SHA-256 of the bytes.
    pub digest: [u8; 32],
}
