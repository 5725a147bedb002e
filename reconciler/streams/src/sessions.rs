//! The stream between a gateway and the signer: sessions in, signed Assignments out.

use serde::{Deserialize, Serialize};

/// HTTP path of the stream.
pub const PATH: &str = "/v1/sessions";

/// What a gateway tells the signer. After a reconnection it sends `Opened` for every session it holds.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub enum SessionEvent {
    /// A device said `Hello` and its key is known.
    Opened(Session),
    /// A session ended.
    Closed {
        /// The session's number.
        session: u64,
    },
}

/// A device's session as the signer needs it.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct Session {
    /// Number of the session, unique on this stream.
    pub session: u64,
    /// Name of the Gateway that holds the session.
    pub gateway: String,
    /// Name of the Device.
    pub device: String,
    /// SHA-256 of the device's 32-byte public key.
    pub thumbprint: [u8; 32],
    /// The nonce of this session's `Hello`.
    pub nonce: [u8; 16],
}

/// What the signer pushes to a gateway: first after `Opened`, then whenever it changes.
#[derive(Clone, Debug, Eq, PartialEq, Serialize, Deserialize)]
pub struct AssignmentPush {
    /// The session it is for.
    pub session: u64,
    /// The signed Assignment (COSE_Sign1), opaque to the gateway.
    #[serde(with = "serde_bytes")]
    pub assignment: Vec<u8>,
    /// Names (64 hex digits) of the Releases that the Assignment names, which the device may lack.
    pub releases: Vec<String>,
}
