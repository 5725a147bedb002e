//! What one gateway process allows itself and its peers.

use std::time::Duration;

/// Bounds on memory, time and rates. The defaults suit one machine with thousands of devices.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections held at once, of whatever kind. `Gateway.spec.maxDevices` bounds known devices besides.
    pub connections: usize,
    /// Connections that have not finished their TLS handshake, all together.
    pub handshakes: usize,
    /// The same from one address.
    pub handshakes_per_source: usize,
    /// Connections of unknown keys after their handshake, all together.
    pub strangers: usize,
    /// The same from one address.
    pub strangers_per_source: usize,
    /// Time for the TLS handshake.
    pub handshake_timeout: Duration,
    /// Time from the handshake to `Hello`; a Cortex-M verifies two signatures in it.
    pub hello_timeout: Duration,
    /// Time for a frame that has begun to end, and for the peer to take any byte of what is to be written.
    pub stall_timeout: Duration,
    /// Unknown keys on the pending list; what a Gateway's status holds at most is 100.
    pub pending: usize,
    /// The same from one address.
    pub pending_per_source: usize,
    /// How long an unknown key stays on the list after it was last heard.
    pub pending_kept: Duration,
    /// How long after its start a gateway waits for devices that it left `Connected` when it stopped.
    pub reconnect_grace: Duration,
    /// Bytes of modules in memory.
    pub module_cache: usize,
    /// Bytes of signed Releases in memory.
    pub release_cache: usize,
    /// Reads of Releases and modules under way for one device before no more is read from it.
    pub lookups_per_session: usize,
    /// Bytes waiting to be written to one device before no more is read from it.
    pub outgoing: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            handshakes: 1024,
            handshakes_per_source: 512,
            strangers: 1024,
            strangers_per_source: 64,
            handshake_timeout: Duration::from_secs(15),
            hello_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            pending: 100,
            pending_per_source: 16,
            pending_kept: Duration::from_secs(3600),
            reconnect_grace: Duration::from_secs(60),
            module_cache: 32 << 20,
            release_cache: 4 << 20,
            lookups_per_session: 4,
            outgoing: 16 << 10,
        }
    }
}
