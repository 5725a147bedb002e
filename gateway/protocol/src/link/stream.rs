//! One stream, the same at both ends once it is open.

use super::frame::FrameBuffer;
use super::packet::{Packet, start_data};
use super::receiver::Receiver;
use super::sender::Sender;
use super::{End, KEEP_ALIVE_MS, Reason, SILENCE_MS};
use crate::Crc32;

/// The tag of a stream: of the two boots and the opening it belongs to. Never 0.
pub(super) fn tag(device_epoch: u32, host_epoch: u32, number: u16) -> u32 {
    let crc = Crc32::new().with(&device_epoch.to_le_bytes()).with(&host_epoch.to_le_bytes());
    crc.with(&number.to_le_bytes()).value().max(1)
}

#[derive(Debug)]
pub(super) struct Stream<const RX: usize, const TX: usize> {
    /// 0 before the first.
    tag: u32,
    sender: Sender<TX>,
    receiver: Receiver<RX>,
    closing: Option<Closing>,
    /// The other end has said CLOSE.
    closed_by_peer: Option<Reason>,
    /// An answer to CLOSE is due.
    closed: bool,
    end: Option<End>,
    /// Since when an answer of the other end is missing.
    waiting_since: Option<u64>,
    /// When something of the stream came last.
    heard_at: u64,
    /// The last packet was CREDIT: what is to be sent comes before another.
    was_credit: bool,
}

/// This end closes the stream.
#[derive(Debug)]
struct Closing {
    reason: Reason,
    /// Nobody waits longer for the other end to take the last bytes.
    until: u64,
    /// When to say CLOSE again; none before it was said.
    again: Option<u64>,
}

impl<const RX: usize, const TX: usize> Stream<RX, TX> {
    pub(super) const INITIAL: u32 = Receiver::<RX>::INITIAL;

    pub(super) const fn new() -> Self {
        Self {
            tag: 0,
            sender: Sender::new(),
            receiver: Receiver::new(),
            closing: None,
            closed_by_peer: None,
            closed: false,
            end: Some(End::Closed),
            waiting_since: None,
            heard_at: 0,
            was_credit: false,
        }
    }

    /// Begins a stream, and forgets the last.
    pub(super) fn start(&mut self, tag: u32, limit: u32, now: u64) {
        self.tag = tag;
        self.sender.start(limit);
        self.receiver.start();
        self.closing = None;
        self.closed_by_peer = None;
        self.closed = false;
        self.end = None;
        self.waiting_since = None;
        self.heard_at = now;
        self.was_credit = false;
    }

    /// Forgets the stream: its tag is not known any more.
    pub(super) fn forget(&mut self) {
        self.start(0, 0, 0);
        self.end = Some(End::Closed);
    }

    pub(super) fn tag(&self) -> u32 {
        self.tag
    }

    /// How it ended. Bytes that came before may still be there to be taken.
    pub(super) fn ended(&self) -> Option<End> {
        self.end
    }

    /// How it ended, once every byte that came is taken.
    pub(super) fn finished(&self) -> Option<End> {
        self.end.filter(|_| self.receiver.is_empty())
    }

    pub(super) fn end(&mut self, end: End) {
        if self.end.is_none() {
            self.end = Some(end);
            if self.closing.is_some() {
                self.receiver.discard();
            }
        }
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> usize {
        if self.is_writable() { self.sender.push(bytes) } else { 0 }
    }

    pub(super) fn space(&self) -> usize {
        if self.is_writable() { self.sender.free() } else { 0 }
    }

    /// Whether the other end has all that was sent.
    pub(super) fn is_flushed(&self) -> bool {
        self.sender.is_done()
    }

    fn is_writable(&self) -> bool {
        self.end.is_none() && self.closing.is_none() && self.closed_by_peer.is_none()
    }

    pub(super) fn received(&self) -> &[u8] {
        self.receiver.front()
    }

    pub(super) fn consume(&mut self, count: usize) {
        self.receiver.consume(count);
        self.finish_if_taken();
    }

    pub(super) fn close(&mut self, reason: Reason, now: u64) {
        if self.is_writable() {
            self.closing = Some(Closing { reason, until: now + SILENCE_MS, again: None });
        }
        // Who closed wants nothing more; if the other end closed too, that is all there was to wait for.
        self.receiver.discard();
        self.finish_if_taken();
    }

    fn finish_if_taken(&mut self) {
        if let Some(reason) = self.closed_by_peer
            && self.receiver.is_empty()
            && self.end.is_none()
        {
            self.closed = true;
            self.end = Some(End::ClosedByPeer(reason));
        }
    }

    /// Takes a packet; says whether it belongs to this stream. Only DATA, CREDIT, CLOSE and CLOSED do.
    pub(super) fn handle(&mut self, packet: &Packet<'_>, now: u64) -> bool {
        let (Packet::Data { tag, .. }
        | Packet::Credit { tag, .. }
        | Packet::Close { tag, .. }
        | Packet::Closed { tag }) = *packet
        else {
            return false;
        };
        if tag != self.tag || self.tag == 0 {
            return false;
        }
        if let Some(end) = self.end {
            // Over here. If all was taken, the other end may still wait for the answer to its CLOSE; else it hears that the
            // stream is not there any more.
            let is_complete = matches!(end, End::Closed | End::ClosedByPeer(_));
            self.closed |= is_complete && matches!(packet, Packet::Close { .. });
            return is_complete || matches!(packet, Packet::Closed { .. });
        }
        match *packet {
            Packet::Data { offset, bytes, .. } => {
                self.receiver.take(offset, bytes);
                if self.closing.is_some() {
                    self.receiver.discard();
                }
            }
            Packet::Credit { next, limit, gap, .. } => self.sender.credit(next, limit, gap, now),
            Packet::Close { reason, .. } if self.closing.is_some() => {
                // Both closed at once: neither wants what the other still has.
                self.closed = true;
                self.end(End::ClosedByPeer(Reason::from_code(reason)));
            }
            Packet::Close { reason, .. } => {
                self.closed_by_peer = Some(Reason::from_code(reason));
                self.finish_if_taken();
                if self.end.is_none() {
                    // Not taken yet: a sign of life.
                    self.receiver.ask_credit();
                }
            }
            _ => {
                if self.closing.as_ref().is_some_and(|closing| closing.again.is_some()) {
                    self.end(End::Closed);
                }
            }
        }
        self.heard_at = now;
        let is_waiting = self.closed_by_peer.is_none() && (self.sender.is_waiting() || self.closing.is_some());
        self.waiting_since = self.waiting_since.filter(|_| is_waiting).map(|_| now);
        true
    }

    /// What the time brings.
    pub(super) fn tick(&mut self, now: u64) {
        if self.end.is_some() {
            return;
        }
        let is_silent = self.waiting_since.is_some_and(|since| now >= since + SILENCE_MS);
        if is_silent || self.closing.as_ref().is_some_and(|closing| now >= closing.until) {
            self.end(End::Silent);
        } else if self.closed_by_peer.is_none() {
            self.sender.tick(now);
            if now >= self.heard_at + KEEP_ALIVE_MS && self.is_quiet() {
                self.sender.ask();
            }
        }
    }

    /// Whether no answer is missing that would tell whether the other end is there.
    fn is_quiet(&self) -> bool {
        self.waiting_since.is_none() && self.closing.is_none()
    }

    /// Writes the next packet, if there is one.
    pub(super) fn write(&mut self, frame: &mut FrameBuffer, now: u64) -> bool {
        let tag = self.tag;
        if core::mem::take(&mut self.closed) {
            Packet::Closed { tag }.write(frame);
            return true;
        }
        if self.end.is_some() {
            return false;
        }
        if self.was_credit && self.write_out(frame, now) {
            self.was_credit = false;
            return true;
        }
        if let Some((next, limit, gap)) = self.receiver.credit() {
            self.was_credit = true;
            Packet::Credit { tag, next, limit, gap }.write(frame);
            return true;
        }
        self.was_credit = false;
        self.write_out(frame, now)
    }

    /// DATA, or CLOSE behind all of it.
    fn write_out(&mut self, frame: &mut FrameBuffer, now: u64) -> bool {
        if self.closed_by_peer.is_some() {
            return false;
        }
        if let Some((offset, count)) = self.sender.next(now) {
            start_data(frame, self.tag, offset);
            self.sender.copy(offset, &mut frame.space()[..count]);
            frame.advance(count);
            self.waiting_since = self.waiting_since.or(Some(now));
            return true;
        }
        match &mut self.closing {
            Some(closing) if self.sender.is_done() && closing.again.is_none_or(|again| now >= again) => {
                closing.again = Some(now + self.sender.patience());
                self.waiting_since = self.waiting_since.or(Some(now));
                Packet::Close { tag: self.tag, reason: closing.reason.code() }.write(frame);
                true
            }
            _ => false,
        }
    }

    /// When [`tick`](Self::tick) or [`write`](Self::write) has something to do; `now` if at once.
    pub(super) fn deadline(&self, now: u64) -> Option<u64> {
        if self.closed {
            return Some(now);
        }
        if self.end.is_some() {
            return None;
        }
        let silent = self.waiting_since.map(|since| since + SILENCE_MS);
        if self.receiver.is_due() {
            return Some(now);
        }
        if self.closed_by_peer.is_some() {
            return silent;
        }
        if self.sender.is_ready() {
            return Some(now);
        }
        let close = self.closing.as_ref().map(|closing| match closing.again {
            _ if !self.sender.is_done() => closing.until,
            None => now,
            Some(again) => again.min(closing.until),
        });
        let ask = self.is_quiet().then_some(self.heard_at + KEEP_ALIVE_MS);
        [silent, self.sender.deadline(), close, ask].into_iter().flatten().min()
    }
}
