//! What the port hears of the link, and in which order.

use alloc::string::ToString;
use alloc::vec::Vec;

use wasmbed_board::port::{PIECE, Port, What};
use wasmbed_protocol::link::{DeviceEvent, DeviceLink};

/// Names one opening, as the agent counts them.
type Connection = u32;

/// The connection that is, or is being made; one at a time.
#[derive(Default)]
pub(crate) struct Conversation {
    connection: Option<Connection>,
    /// What the link said and the port has not heard.
    event: Option<DeviceEvent>,
    /// Why it could not even be asked for.
    refused: Option<alloc::string::String>,
    /// Bytes that the link has not taken.
    pending: Vec<u8>,
    /// Of them, those that it has.
    taken: usize,
    /// All were taken: the port is to hear of it.
    sent: bool,
    /// Once all were taken, it is closed; the port hears nothing more.
    closing: bool,
}

impl Conversation {
    pub(crate) fn open(&mut self, link: &mut DeviceLink, connection: Connection, address: &str, now: u64) {
        *self = Self { connection: Some(connection), ..Self::default() };
        self.refused = link.open(address, now).err().map(|error| error.to_string());
    }

    pub(crate) fn send(&mut self, connection: Connection, bytes: Vec<u8>) {
        if self.connection == Some(connection) {
            self.pending.extend(bytes);
        }
    }

    /// Bytes given before are still sent.
    pub(crate) fn close(&mut self, link: &mut DeviceLink, connection: Connection, now: u64) {
        if self.connection == Some(connection) {
            self.connection = None;
            self.closing = true;
            self.close_when_taken(link, now);
        }
    }

    fn close_when_taken(&mut self, link: &mut DeviceLink, now: u64) {
        self.push(link);
        if self.closing && self.pending.is_empty() {
            link.close(now);
            *self = Self::default();
        }
    }

    /// Hands the link what it takes, and hears what it says.
    pub(crate) fn turn(&mut self, link: &mut DeviceLink, now: u64) {
        self.close_when_taken(link, now);
        if self.event.is_none() {
            self.event = link.next_event();
        }
        if self.closing && matches!(self.event, Some(DeviceEvent::Ended(_))) {
            *self = Self::default();
        }
    }

    fn push(&mut self, link: &mut DeviceLink) {
        if self.taken < self.pending.len() {
            self.taken += link.send(&self.pending[self.taken..]);
            if self.taken == self.pending.len() {
                self.pending.clear();
                self.taken = 0;
                self.sent = true;
            }
        }
    }

    pub(crate) fn has_news(&self, link: &DeviceLink) -> bool {
        self.connection.is_some()
            && (self.event.is_some() || self.refused.is_some() || self.sent || !link.received().is_empty())
    }

    /// Tells the port one thing; there is room for it.
    pub(crate) async fn tell(&mut self, link: &mut DeviceLink, port: &Port) {
        let Some(connection) = self.connection else { return };
        if let Some(what) = self.next(link) {
            if matches!(what, What::Ended(_)) {
                *self = Self::default();
            }
            port.tell(connection, what).await;
        }
    }

    fn next(&mut self, link: &mut DeviceLink) -> Option<What> {
        if let Some(reason) = self.refused.take() {
            return Some(What::Ended(reason));
        }
        if self.event == Some(DeviceEvent::Opened) {
            self.event = None;
            return Some(What::Opened);
        }
        if core::mem::take(&mut self.sent) {
            return Some(What::Sent);
        }
        let bytes = link.received();
        if !bytes.is_empty() {
            let piece = bytes[..bytes.len().min(PIECE)].to_vec();
            link.consume(piece.len());
            return Some(What::Received(piece));
        }
        match self.event.take() {
            Some(DeviceEvent::Ended(end)) => Some(What::Ended(end.to_string())),
            Some(DeviceEvent::Opened) | None => None,
        }
    }
}
