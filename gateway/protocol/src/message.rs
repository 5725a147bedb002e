//! What devices and gateways say to each other, in the envelope `[version, kind, body]`.

use alloc::string::String;
use alloc::vec::Vec;

use crate::cbor::{DecodeError, EncodeError, Item, Reader, Writer, map, number};
use crate::frame;
use crate::id::{ModuleDigest, Nonce, ReleaseDigest};
use crate::limits::{
    CHUNK, MAX_APPLICATIONS, MAX_FRAME, MAX_LOG, MAX_NAME, MAX_OUTPUT, MAX_REASON, MAX_SIGNED, MAX_TOPIC,
};
use crate::{VERSION, pairing};

/// Declares an enum of messages with their kind numbers, its envelope and its conversions.
macro_rules! messages {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$variant_meta:meta])* $kind:literal => $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $($(#[$variant_meta])* $variant($variant),)*
        }

        impl $name {
            /// The message in its envelope: the body of a frame.
            ///
            /// # Errors
            /// A field or the whole is longer than the protocol allows.
            pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
                let mut w = Writer::default();
                w.array(3);
                w.uint(u64::from(VERSION));
                match self {
                    $(Self::$variant(body) => {
                        w.uint($kind);
                        body.write(&mut w);
                    })*
                }
                w.finish(MAX_FRAME)
            }

            /// The message as a whole frame, ready for the stream.
            ///
            /// # Errors
            /// As [`Self::encode`].
            pub fn to_frame(&self) -> Result<Vec<u8>, EncodeError> {
                let body = self.encode()?;
                let mut out = Vec::with_capacity(frame::HEADER + body.len());
                frame::write(&body, &mut out).expect("encode keeps to MAX_FRAME and an envelope is not empty");
                Ok(out)
            }

            /// Reads the body of a frame.
            ///
            /// # Errors
            /// Anything but one well-formed message; [`DecodeError::UnknownKind`] is one to skip.
            pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
                let mut r = Reader::lenient(body);
                let items = r.array()?;
                if items < 3 {
                    return Err(DecodeError::Type("an envelope of three items"));
                }
                let version = r.uint()?;
                if version != u64::from(VERSION) {
                    return Err(DecodeError::Version(version));
                }
                let message = match r.uint()? {
                    $($kind => Self::$variant(Item::read(&mut r)?),)*
                    kind => return Err(DecodeError::UnknownKind(kind)),
                };
                for _ in 3..items {
                    r.skip()?;
                }
                r.finish()?;
                Ok(message)
            }
        }

        $(impl From<$variant> for $name {
            fn from(body: $variant) -> Self {
                Self::$variant(body)
            }
        })*
    };
}

messages! {
    /// What a device says.
    pub enum DeviceMessage {
        /// First; only after the gateway's introduction was believed.
        0 => Hello,
        /// Once an interval: the device lives.
        1 => Heartbeat,
        /// Asks for bytes of a module.
        2 => Fetch,
        /// An application changed.
        3 => Report,
        /// What an application publishes.
        4 => Output,
        /// A line that an application or the agent wrote.
        5 => Log,
    }
}

messages! {
    /// What a gateway says.
    pub enum GatewayMessage {
        /// First: who this gateway is.
        0 => Introduction,
        /// The device is known, and this is its session.
        1 => Welcome,
        /// The device is not known.
        2 => Enrollment,
        /// What the device is to run.
        3 => SignedAssignment,
        /// What a Release named in an Assignment says.
        4 => SignedRelease,
        /// Bytes of a module.
        5 => Chunk,
        /// Answers a heartbeat.
        6 => HeartbeatAck,
    }
}

map! {
    /// The device introduces itself.
    pub struct Hello {
        /// Protocol versions it speaks, one byte each.
        0 => versions: Vec<u8>, max 8;
        /// The board, by the name `Device.spec.mcuType` has for it.
        1 => board: String, max MAX_NAME;
        /// RAM for applications, in bytes.
        2 => memory: u32;
        /// What it can run and do, for example `wasm32`, `gpio`.
        3 => features: Vec<String>, max 16;
        /// Drawn for this session; Assignments carry it.
        4 => nonce: Nonce;
        /// The state of every application it holds.
        5 => running: Vec<Report>, max MAX_APPLICATIONS;
        /// Proof of a one-time code, while its key is not known to the fleet.
        6 => pairing: Option<Pairing>;
    }
}

map! {
    /// A device's proof that it was given a one-time code; see [`pairing`].
    pub struct Pairing {
        /// The name of the Device it claims to be.
        0 => device: String, max MAX_NAME;
        /// Signature by the key derived from the code.
        1 => proof: pairing::Proof;
    }
}

map! {
    /// A sign of life, and the state of every application without its reasons.
    pub struct Heartbeat {
        /// Milliseconds since the device started.
        0 => uptime_ms: u64;
        /// Free memory in bytes.
        1 => memory_free: u32;
        /// Every application it holds.
        2 => applications: Vec<Pulse>, max MAX_APPLICATIONS;
    }
}

map! {
    /// One application in a heartbeat.
    pub struct Pulse {
        /// Its name.
        0 => application: String, max MAX_NAME;
        /// Where it is.
        1 => phase: Phase;
        /// CPU time in milliseconds since it was started.
        2 => cpu_ms: u64;
        /// Times it was started again after a failure.
        3 => restarts: u32;
    }
}

map! {
    /// Asks for `length` bytes of a module from `offset` on.
    pub struct Fetch {
        /// Which module.
        0 => digest: ModuleDigest;
        /// First byte wanted.
        1 => offset: u32;
        /// Bytes wanted, at most [`CHUNK`].
        2 => length: u32;
    }
}

map! {
    /// The state of one application, sent when it changes and in `Hello`.
    pub struct Report {
        /// Its name.
        0 => application: String, max MAX_NAME;
        /// The Release this is about: the assigned one.
        1 => release: ReleaseDigest;
        /// Where it is.
        2 => phase: Phase;
        /// Times it was started again after a failure.
        3 => restarts: u32;
        /// Why it failed or fell back.
        4 => error: Option<String>, max MAX_REASON;
        /// After a fall-back: the Release that runs instead.
        5 => fallback: Option<ReleaseDigest>;
        /// What it is held back by while it runs, if it asks for more than its limits give.
        6 => throttled: Option<Throttled>;
    }
}

map! {
    /// What an application publishes.
    pub struct Output {
        /// Who published it.
        0 => application: String, max MAX_NAME;
        /// Under which topic.
        1 => topic: String, max MAX_TOPIC;
        /// One CBOR data item.
        2 => payload: Vec<u8>, max MAX_OUTPUT;
        /// Outputs of this application that were dropped before this one, since the last that was sent.
        3 => dropped: Option<u32>;
    }
}

map! {
    /// One line of text.
    pub struct Log {
        /// Who wrote it; absent for the device agent itself.
        0 => application: Option<String>, max MAX_NAME;
        /// How it was written.
        1 => level: Level;
        /// The line, without its line feed.
        2 => text: String, max MAX_LOG;
        /// Lines of this application that were dropped before this one, since the last that was sent.
        3 => dropped: Option<u32>;
    }
}

number! {
    /// Where an application is on its device.
    pub enum Phase {
        /// Its module is being fetched.
        Fetching = 0,
        /// It runs and has not proven healthy yet.
        Starting = 1,
        /// It runs and is confirmed.
        Running = 2,
        /// It returned from `main` with success.
        Finished = 3,
        /// It is assigned, and suspended.
        Suspended = 4,
        /// It ended badly and waits to be started again.
        Restarting = 5,
        /// It ended badly, and is not started again until its Release or restart counter changes.
        Failed = 6,
        /// As `Failed`, and the previous confirmed Release runs instead.
        FellBack = 7,
        /// It was stopped and its modules erased, because no Assignment names it any more.
        Erased = 8,
    }
}

number! {
    /// Which of its limits holds an application back. It runs on.
    pub enum Throttled {
        /// Its share of the processor is used up, again and again.
        CpuTime = 0,
        /// It writes more than its log may hold; lines are dropped.
        Log = 1,
        /// It publishes more than it may; outputs are refused.
        Output = 2,
    }
}

number! {
    /// How a line was written.
    pub enum Level {
        /// To standard output.
        Stdout = 0,
        /// As an error, or to standard error.
        Error = 1,
        /// As a warning.
        Warn = 2,
        /// As information.
        Info = 3,
        /// For debugging.
        Debug = 4,
    }
}

map! {
    /// Who this gateway is. A device says nothing before it believes this.
    pub struct Introduction {
        /// The [`KeySet`](crate::KeySet), a signed object.
        0 => keyset: Vec<u8>, max MAX_SIGNED;
        /// The [`Credential`](crate::Credential), a signed object.
        1 => credential: Vec<u8>, max MAX_SIGNED;
    }
}

map! {
    /// The device is known by its key.
    pub struct Welcome {
        /// The protocol version of this session.
        0 => version: u32;
        /// The name of its Device.
        1 => name: String, max MAX_NAME;
        /// Milliseconds between heartbeats.
        2 => heartbeat_ms: u32;
        /// The gateway's clock in milliseconds since 1970, for logs and applications; nothing trusts it.
        3 => time_ms: u64;
    }
}

map! {
    /// The device's key is not known to the fleet.
    pub struct Enrollment {
        /// Whether waiting can help.
        0 => state: EnrollmentState;
        /// For a person.
        1 => reason: String, max MAX_REASON;
        /// Milliseconds after which to connect again if this session ends.
        2 => retry_ms: u32;
    }
}

number! {
    /// Whether waiting can help a device whose key is not known.
    pub enum EnrollmentState {
        /// The key waits for approval. The session may go on: a `Welcome` follows as soon as the key is known.
        Pending = 0,
        /// The session ends; the reason says what to do.
        Refused = 1,
    }
}

map! {
    /// An [`Assignment`](crate::Assignment).
    pub struct SignedAssignment {
        /// The signed object.
        0 => cose: Vec<u8>, max MAX_SIGNED;
    }
}

map! {
    /// A [`Release`](crate::Release); it comes before the Assignment that names it.
    pub struct SignedRelease {
        /// The signed object.
        0 => cose: Vec<u8>, max MAX_SIGNED;
    }
}

map! {
    /// Bytes of a module. Nothing vouches for them before the whole has the right digest.
    pub struct Chunk {
        /// Which module.
        0 => digest: ModuleDigest;
        /// Where the bytes start.
        1 => offset: u32;
        /// The bytes, at most [`CHUNK`]. Empty means that the gateway cannot give them now: ask again later.
        2 => bytes: Vec<u8>, max CHUNK;
    }
}

map! {
    /// Answers a heartbeat, so that the device knows the path is open.
    pub struct HeartbeatAck {
        /// The gateway's clock in milliseconds since 1970.
        0 => time_ms: u64;
    }
}
