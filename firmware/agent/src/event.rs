//! What the platform tells the agent.

use alloc::string::String;
use alloc::vec::Vec;

use wasmbed_protocol::message::Level;

use crate::store::{ActionId, FlashError};

/// Names one connection attempt; the agent counts up, so what an old connection still says is told apart.
pub type Connection = u32;

/// Names one run of one application; the agent counts up, so what an old run still says is told apart.
pub type Instance = u32;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Time passed: [`Agent::next_deadline`](crate::Agent::next_deadline) is reached.
    Tick,
    /// The byte stream asked for by [`Action::Connect`](crate::Action::Connect) is open.
    Connected {
        /// The attempt.
        connection: Connection,
    },
    /// Bytes from the gateway, in order, in pieces of any size.
    Received {
        /// The connection they came on.
        connection: Connection,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The bytes of the last [`Action::Send`](crate::Action::Send) were taken; the agent may give the next.
    Sent {
        /// The connection they went to.
        connection: Connection,
    },
    /// The connection could not be made, or ended. Told once a connection, and not after
    /// [`Action::Close`](crate::Action::Close).
    Disconnected {
        /// The connection.
        connection: Connection,
        /// Why, in the platform's words, for the log.
        reason: String,
    },
    /// A flash action is done.
    Flash {
        /// The action's name.
        id: ActionId,
        /// The bytes read (none for program and erase, which are durable now), or why not.
        result: Result<Vec<u8>, FlashError>,
    },
    /// The platform has something to say: it goes where the agent's own lines go, the device's log and the gateway.
    Say {
        /// How much it matters.
        level: Level,
        /// The text, without a line end.
        text: String,
    },
    /// Something about a running application.
    Application {
        /// The run, as the agent named it in [`StartApplication`](crate::StartApplication).
        instance: Instance,
        /// What happened.
        event: ApplicationEvent,
    },
}

/// How often the limits of a run held it back since it began. Only whether a number rises counts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HeldBack {
    /// Times that it was over its share of the processor and had to wait.
    pub cpu_time: u64,
    /// Lines of its log that were dropped.
    pub log: u64,
    /// Outputs that were refused.
    pub output: u64,
}

/// What a run of an application does. The last event of every run is one of `Exited`, `Trapped`,
/// `Refused` and `Stopped`, and it comes exactly once.
#[derive(Debug, Clone, PartialEq)]
pub enum ApplicationEvent {
    /// `_start` is entered.
    Started,
    /// A line of output, or a log record.
    Log {
        /// How it was written.
        level: Level,
        /// The text, without a line end.
        text: String,
    },
    /// The application published one CBOR data item.
    Published {
        /// The topic, at most 64 bytes.
        topic: String,
        /// One CBOR data item, at most 1,024 bytes.
        payload: Vec<u8>,
    },
    /// What the run used so far; sent about once a second while it runs.
    Stats {
        /// Processor time, in milliseconds, since the run began.
        cpu_ms: u64,
        /// Linear memory now, in bytes.
        memory: u32,
        /// How often its limits held it back.
        held_back: HeldBack,
    },
    /// `_start` returned (code 0), or the program asked to exit.
    Exited {
        /// The exit code; 0 is success.
        code: i32,
    },
    /// The run ended by a trap or by one of its limits.
    Trapped {
        /// What happened, for a person.
        reason: String,
    },
    /// The module could not be loaded or instantiated; it never ran.
    Refused {
        /// What is wrong, for a person.
        reason: String,
    },
    /// The run ended because [`Action::Stop`](crate::Action::Stop) asked for it.
    Stopped,
}
