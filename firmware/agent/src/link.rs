//! One way to a gateway: which address, when again, TLS, and frames. Knows nothing of what is said.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use wasmbed_protocol::pairing::EXPORTER_LENGTH;
use wasmbed_protocol::{ALPN, FrameDecoder, PublicKey};

use crate::MAX_SEND;
use crate::action::Action;
use crate::event::Connection;
use crate::tls::{Entropy, TlsConnection, TlsIdentity};

const FIRST_RETRY_MS: u64 = 500;
const LONGEST_RETRY_MS: u64 = 60_000;
/// A platform that cannot tell within this time whether it connected is asked to give up.
const CONNECT_TIMEOUT_MS: u64 = 30_000;

/// What came of bytes or of their end.
#[derive(Debug, PartialEq)]
pub(crate) enum LinkEvent {
    /// A whole frame's body.
    Frame(Vec<u8>),
    /// The connection is over; the next attempt is planned.
    Down { reason: String },
}

/// The device's one connection, or the wait for the next.
#[derive(Debug)]
pub(crate) struct Link {
    identity: TlsIdentity,
    entropy: Entropy,
    addresses: Vec<String>,
    /// Index of the address in use, or to be used next.
    address: usize,
    /// The number of the latest attempt.
    connection: Connection,
    /// Attempts since the last that led to a session.
    failures: u32,
    state: State,
    events: VecDeque<LinkEvent>,
}

#[derive(Debug)]
enum State {
    Waiting { until: u64 },
    Connecting { until: u64 },
    Open(Box<Open>),
}

#[derive(Debug)]
struct Open {
    tls: TlsConnection,
    frames: FrameDecoder,
    /// Whether the platform still has bytes that it did not say are sent.
    sending: bool,
}

impl Link {
    pub(crate) fn new(identity: TlsIdentity, entropy: Entropy, addresses: Vec<String>, now: u64) -> Self {
        Self {
            identity,
            entropy,
            addresses,
            address: 0,
            connection: 0,
            failures: 0,
            state: State::Waiting { until: now },
            events: VecDeque::new(),
        }
    }

    pub(crate) fn tick(&mut self, now: u64, actions: &mut VecDeque<Action>) {
        match self.state {
            State::Waiting { until } if now >= until => {
                self.connection = self.connection.wrapping_add(1);
                self.state = State::Connecting { until: now + CONNECT_TIMEOUT_MS };
                let address = self.addresses[self.address].clone();
                actions.push_back(Action::Connect { connection: self.connection, address });
            }
            State::Connecting { until } if now >= until => {
                actions.push_back(Action::Close { connection: self.connection });
                self.down("the connection could not be made in time".to_string(), None, now);
            }
            _ => {}
        }
    }

    pub(crate) fn next_deadline(&self) -> Option<u64> {
        match self.state {
            State::Waiting { until } | State::Connecting { until } => Some(until),
            State::Open(_) => None,
        }
    }

    /// What happened since the last call, in order.
    pub(crate) fn next_event(&mut self) -> Option<LinkEvent> {
        self.events.pop_front()
    }

    /// The byte stream is there; whether a session can begin on it.
    pub(crate) fn connected(&mut self, connection: Connection, now: u64, actions: &mut VecDeque<Action>) -> bool {
        if connection != self.connection || !matches!(self.state, State::Connecting { .. }) {
            return false;
        }
        match TlsConnection::open(&self.identity) {
            Ok(tls) => {
                self.state = State::Open(Box::new(Open { tls, frames: FrameDecoder::new(), sending: false }));
                true
            }
            Err(error) => {
                actions.push_back(Action::Close { connection });
                self.down(error.to_string(), None, now);
                false
            }
        }
    }

    pub(crate) fn received(&mut self, connection: Connection, bytes: &[u8], now: u64, actions: &mut VecDeque<Action>) {
        let State::Open(open) = &mut self.state else { return };
        if connection != self.connection {
            return;
        }
        let problem = open.receive(bytes, &mut self.events).err();
        if let Some(problem) = problem {
            self.close(&problem, None, now, actions);
        }
    }

    pub(crate) fn sent(&mut self, connection: Connection) {
        if let State::Open(open) = &mut self.state
            && connection == self.connection
        {
            open.sending = false;
        }
    }

    pub(crate) fn disconnected(&mut self, connection: Connection, reason: &str, now: u64) {
        if connection == self.connection && !matches!(self.state, State::Waiting { .. }) {
            self.down(format!("the connection ended: {reason}"), None, now);
        }
    }

    /// Ends the connection from this side. The next attempt comes after a back-off, or after `retry_ms`.
    pub(crate) fn close(&mut self, reason: &str, retry_ms: Option<u64>, now: u64, actions: &mut VecDeque<Action>) {
        if let State::Open(open) = &mut self.state {
            open.tls.close();
            // What the other end should still hear: the goodbye, or the alert that says what was wrong.
            let last = open.tls.take_outgoing(MAX_SEND);
            if !open.sending && !last.is_empty() {
                actions.push_back(Action::Send { connection: self.connection, bytes: last });
            }
        }
        if let State::Waiting { until } = &mut self.state {
            // The gateway said why and closed in one breath: what it said is the reason, and when to come again.
            if let Some(LinkEvent::Down { reason: closed }) = self.events.back_mut() {
                *closed = reason.to_string();
                *until = retry_ms.map_or(*until, |delay| now + delay);
            }
            return;
        }
        actions.push_back(Action::Close { connection: self.connection });
        self.down(reason.to_string(), retry_ms, now);
    }

    /// A session came of it: the next failure is the first again.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Encrypts frames for the gateway; they go out by [`flush`](Self::flush).
    pub(crate) fn send(&mut self, frames: &[u8], now: u64, actions: &mut VecDeque<Action>) {
        let State::Open(open) = &mut self.state else { return };
        if let Err(error) = open.tls.send(frames) {
            self.close(&error.to_string(), None, now, actions);
        }
    }

    /// Hands the platform the next bytes, if it took the last.
    pub(crate) fn flush(&mut self, actions: &mut VecDeque<Action>) {
        let State::Open(open) = &mut self.state else { return };
        if !open.sending && open.tls.has_outgoing() {
            open.sending = true;
            let bytes = open.tls.take_outgoing(MAX_SEND);
            actions.push_back(Action::Send { connection: self.connection, bytes });
        }
    }

    /// Whether everything said before is on its way, so that it is worth saying more.
    pub(crate) fn is_clear(&self) -> bool {
        matches!(&self.state, State::Open(open) if !open.sending && !open.tls.has_outgoing())
    }

    /// The key that the gateway of this connection proved to hold, once its TLS is done.
    pub(crate) fn server_key(&self) -> Option<PublicKey> {
        match &self.state {
            State::Open(open) if open.tls.is_established() => open.tls.server_key(),
            _ => None,
        }
    }

    /// What a pairing proof is bound to.
    pub(crate) fn pairing_exporter(&self) -> Option<[u8; EXPORTER_LENGTH]> {
        match &self.state {
            State::Open(open) => open.tls.pairing_exporter(),
            _ => None,
        }
    }

    fn down(&mut self, reason: String, retry_ms: Option<u64>, now: u64) {
        let rounds = self.failures / u32::try_from(self.addresses.len()).unwrap_or(u32::MAX).max(1);
        let backoff = (FIRST_RETRY_MS << rounds.min(16)).min(LONGEST_RETRY_MS);
        let delay = retry_ms.unwrap_or_else(|| self.jittered(backoff));
        self.failures = self.failures.saturating_add(1);
        self.address = (self.address + 1) % self.addresses.len();
        self.state = State::Waiting { until: now + delay };
        self.events.push_back(LinkEvent::Down { reason });
    }

    /// Somewhere in the upper half, so that devices which lost a gateway together do not come back together.
    fn jittered(&self, delay: u64) -> u64 {
        let mut random = [0; 4];
        match (self.entropy)(&mut random) {
            Ok(()) => delay / 2 + u64::from(u32::from_le_bytes(random)) % (delay / 2 + 1),
            Err(_) => delay,
        }
    }
}

impl Open {
    fn receive(&mut self, bytes: &[u8], events: &mut VecDeque<LinkEvent>) -> Result<(), String> {
        let received = self.tls.receive(bytes);
        // Nothing is believed, and nothing said, before both ends speak this protocol.
        if self.tls.is_established() && self.tls.alpn() != Some(ALPN) {
            return Err("the server does not speak wasmbed/1: check the gateway's address".to_string());
        }
        let plaintext = self.tls.take_plaintext();
        let mut rest = plaintext.as_slice();
        while let Some(frame) = self.frames.next(&mut rest).map_err(|error| error.to_string())? {
            events.push_back(LinkEvent::Frame(frame));
        }
        received.map_err(|error| error.to_string())
    }
}
