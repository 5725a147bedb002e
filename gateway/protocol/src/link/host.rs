//! The host's end.

use super::frame::FrameBuffer;
use super::line::Line;
use super::packet::Packet;
use super::ring::Ring;
use super::stream::{Stream, tag};
use super::{End, MAX_ADDRESS, Reason, VERSION};

/// The host's end of a link. It says what the device wants at every moment ([`state`](Self::state)); whoever drives it holds the
/// connection to the gateway and brings it to that, so nothing depends on having seen every change.
///
/// `RX` and `TX` are the bytes of the stream it holds in each direction, `LOG` those of the log.
#[derive(Debug)]
pub struct HostLink<const RX: usize = 8192, const TX: usize = 8192, const LOG: usize = 4096> {
    line: Line,
    /// The last opening that was heard of.
    opening: Option<Opening>,
    /// The address of the last opening.
    address: [u8; MAX_ADDRESS],
    address_length: usize,
    stream: Stream<RX, TX>,
    /// OPENED or REFUSED is to be said.
    answer: bool,
    log: Ring<LOG>,
    /// Number of the next packet of the log; none before the first.
    log_number: Option<u8>,
}

/// Names one opening of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamId {
    /// The device's epoch.
    pub epoch: u32,
    /// Counts the openings of that epoch.
    pub number: u16,
}

#[derive(Clone, Copy, Debug)]
struct Opening {
    id: StreamId,
    limit: u32,
    is: Is,
}

#[derive(Clone, Copy, Debug)]
enum Is {
    Asked,
    Open,
    Refused(Reason),
}

/// What the device wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostState {
    /// No stream, as far as is known.
    Idle,
    /// A stream to [`HostLink::address`]: [`accept`](HostLink::accept) or [`refuse`](HostLink::refuse) it.
    Asked(StreamId),
    /// The stream is there.
    Open(StreamId),
    /// It is over, and every byte that came was taken.
    Ended(StreamId, End),
}

impl<const RX: usize, const TX: usize, const LOG: usize> HostLink<RX, TX, LOG> {
    /// An end that has just begun. `epoch` is a random number.
    #[must_use]
    pub const fn new(epoch: u32) -> Self {
        Self {
            line: Line::new(epoch),
            opening: None,
            address: [0; MAX_ADDRESS],
            address_length: 0,
            stream: Stream::new(),
            answer: false,
            log: Ring::new(),
            log_number: None,
        }
    }

    /// Takes what the line brought, in pieces of any size. Give no more than a few kilobytes at once: log text that does
    /// not fit until it is [taken](Self::log) is dropped.
    pub fn receive(&mut self, mut bytes: &[u8], now: u64) {
        let now = self.line.clock(now);
        self.stream.tick(now);
        loop {
            let Some(raw) = self.line.decoder.next(&mut bytes) else { return };
            let Some(packet) = Packet::decode(raw) else { continue };
            match packet {
                Packet::Reset { epoch, tag } => self.reset(epoch, tag),
                Packet::Open { version, epoch, number, limit, address } => {
                    let mut kept = [0; MAX_ADDRESS];
                    let length = address.len();
                    if let Some(room) = kept.get_mut(..length) {
                        room.copy_from_slice(address);
                        self.open(version, StreamId { epoch, number }, limit, kept, length);
                    }
                }
                Packet::Data { tag, .. } | Packet::Credit { tag, .. } | Packet::Close { tag, .. } => {
                    if !self.stream.handle(&packet, now) {
                        self.line.reset(tag);
                    }
                }
                Packet::Closed { .. } => {
                    self.stream.handle(&packet, now);
                }
                Packet::Log { number, bytes } => {
                    let is_missing = self.log_number.is_some_and(|expected| expected != number);
                    self.log_number = Some(number.wrapping_add(1));
                    if is_missing {
                        self.log.push(&[0]);
                    }
                    for &byte in bytes {
                        self.log.push(&[if byte == 0 { b'?' } else { byte }]);
                    }
                }
                Packet::Opened { .. } | Packet::Refused { .. } => {}
            }
        }
    }

    /// What the device wants now.
    #[must_use]
    pub fn state(&self) -> HostState {
        match self.opening {
            None => HostState::Idle,
            Some(Opening { id, is: Is::Asked, .. }) => HostState::Asked(id),
            Some(Opening { id, is: Is::Refused(reason), .. }) => HostState::Ended(id, End::Refused(reason)),
            Some(Opening { id, is: Is::Open, .. }) => match self.stream.finished() {
                Some(end) => HostState::Ended(id, end),
                None => HostState::Open(id),
            },
        }
    }

    /// Where the device wants to be connected: `host:port`. Empty if that was no text.
    #[must_use]
    pub fn address(&self) -> &str {
        core::str::from_utf8(&self.address[..self.address_length]).unwrap_or_default()
    }

    /// The gateway is reached.
    pub fn accept(&mut self, id: StreamId) {
        if let Some(opening) = self.asked(id) {
            opening.is = Is::Open;
            let limit = opening.limit;
            self.stream.start(tag(id.epoch, self.line.epoch, id.number), limit, self.line.now());
            self.answer = true;
        }
    }

    /// There will be no stream.
    pub fn refuse(&mut self, id: StreamId, reason: Reason) {
        if let Some(opening) = self.asked(id) {
            opening.is = Is::Refused(reason);
            self.answer = true;
        }
    }

    /// Bytes that came on the stream, as many as stand in one piece; none only if there are none.
    #[must_use]
    pub fn received(&self) -> &[u8] {
        self.stream.received()
    }

    /// So many of the [received](Self::received) bytes were taken.
    pub fn consume(&mut self, count: usize) {
        self.stream.consume(count);
    }

    /// Gives bytes to the stream; says how many were taken.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        self.stream.send(bytes)
    }

    /// How many bytes [`send`](Self::send) takes now.
    #[must_use]
    pub fn space(&self) -> usize {
        if matches!(self.state(), HostState::Open(_)) { self.stream.space() } else { 0 }
    }

    /// Closes the stream: what was given to it is still sent, and what comes is dropped.
    pub fn close(&mut self, reason: Reason, now: u64) {
        let now = self.line.clock(now);
        match self.state() {
            HostState::Asked(id) => self.refuse(id, reason),
            HostState::Open(_) => self.stream.close(reason, now),
            HostState::Idle | HostState::Ended(..) => {}
        }
    }

    /// Log text, as much as stands in one piece. UTF-8 if the device writes that, cut anywhere; a zero byte stands where text
    /// is missing.
    #[must_use]
    pub fn log(&self) -> &[u8] {
        self.log.front()
    }

    /// So many bytes of the [log](Self::log) were taken.
    pub fn consume_log(&mut self, count: usize) {
        self.log.consume(count);
    }

    /// The next frame to put on the line. `None` until something is received, given or [due](Self::next_deadline).
    pub fn transmit<'a>(&mut self, now: u64, frame: &'a mut FrameBuffer) -> Option<&'a [u8]> {
        let now = self.line.clock(now);
        self.stream.tick(now);
        let is_written = self.write(frame, now);
        self.line.finish(frame, is_written)
    }

    /// When to call [`transmit`](Self::transmit) again though nothing came; `now` if at once, `None` if not before bytes come.
    #[must_use]
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let now = self.line.now().max(now);
        let answer = self.answer.then_some(now);
        [answer, self.line.reset_deadline(), self.stream.deadline(now)].into_iter().flatten().min()
    }

    /// Frames that came damaged.
    #[must_use]
    pub fn damaged(&self) -> u32 {
        self.line.decoder.damaged()
    }

    fn asked(&mut self, id: StreamId) -> Option<&mut Opening> {
        self.opening.as_mut().filter(|opening| opening.id == id && matches!(opening.is, Is::Asked))
    }

    /// The device began anew, or knows nothing of a stream.
    fn reset(&mut self, epoch: u32, tag: u32) {
        let Some(opening) = &self.opening else { return };
        let is_anew = opening.id.epoch != epoch;
        if is_anew {
            self.log_number = None;
        }
        match opening.is {
            Is::Open if is_anew || tag == self.stream.tag() => self.stream.end(End::PeerReset),
            Is::Asked if is_anew => self.opening = None,
            _ => {}
        }
    }

    fn open(&mut self, version: u8, id: StreamId, limit: u32, address: [u8; MAX_ADDRESS], length: usize) {
        if let Some(opening) = &mut self.opening
            && opening.id.epoch == id.epoch
        {
            let later = id.number.wrapping_sub(opening.id.number).cast_signed();
            if later == 0 {
                // The answer was lost, or the stream was over before it came.
                if let (Is::Open, Some(_)) = (opening.is, self.stream.ended()) {
                    opening.is = Is::Refused(Reason::Broken);
                }
                self.answer = !matches!(opening.is, Is::Asked);
            }
            if later <= 0 {
                return;
            }
        }
        self.stream.forget();
        self.answer = false;
        self.address = address;
        self.address_length = length;
        self.opening = Some(Opening { id, limit, is: Is::Asked });
        if version != VERSION {
            self.refuse(id, Reason::Version);
        } else if self.address().is_empty() {
            self.refuse(id, Reason::NotAllowed);
        }
    }

    fn write(&mut self, frame: &mut FrameBuffer, now: u64) -> bool {
        if self.line.write_reset(frame, now) {
            return true;
        }
        if core::mem::take(&mut self.answer)
            && let Some(Opening { id: StreamId { epoch, number }, is, .. }) = self.opening
        {
            match is {
                Is::Open => {
                    let limit = Stream::<RX, TX>::INITIAL;
                    Packet::Opened { epoch, number, host_epoch: self.line.epoch, limit }.write(frame);
                    return true;
                }
                Is::Refused(reason) => {
                    Packet::Refused { epoch, number, reason: reason.code() }.write(frame);
                    return true;
                }
                Is::Asked => {}
            }
        }
        self.stream.write(frame, now)
    }
}
