//! The device's end.

use super::frame::FrameBuffer;
use super::line::Line;
use super::packet::{MAX_DATA, Packet, start_log};
use super::ring::Ring;
use super::stream::{Stream, tag};
use super::{End, MAX_ADDRESS, OPEN_MS, Reason, VERSION};

/// OPEN is said again after this time at first, and at most after that, in milliseconds.
const OPEN_AGAIN_MS: (u64, u64) = (250, 2_000);
/// Packets of the stream before waiting log text has its turn.
const LOG_TURN: u8 = 8;

/// The device's end of a link, for firmware to drive over a UART.
///
/// It holds all its buffers: `RX` bytes that came and were not taken, `TX` bytes that were given and have not arrived, and
/// `LOG` bytes of log; with the defaults 5.4 KB in all. `RX` bounds what may be under way to the device, so it bounds the
/// throughput as well: 2,048 keeps 115,200 baud busy over an answer time of 170 ms, and 1,000,000 baud over 20 ms.
///
/// The loop around it, whatever executor it runs on:
///
/// ```
/// # use wasmbed_protocol::link::{DeviceEvent, DeviceLink, FrameBuffer};
/// # struct Uart;
/// # impl Uart { fn read(&mut self) -> &[u8] { &[] } fn write(&mut self, _: &[u8]) {} fn sleep_until(&self, _: Option<u64>) {} }
/// # fn clock() -> u64 { 0 }
/// # let mut uart = Uart;
/// # let epoch = 7;
/// let mut link: DeviceLink = DeviceLink::new(epoch); // a number that no boot before had: random, or counted in flash
/// let mut frame = FrameBuffer::new();
/// link.open("gateway.example:4433", clock())?;
/// # for _ in 0..1 {
/// // 1. What the interrupt or the DMA brought since, in pieces of any size.
/// link.receive(uart.read(), clock());
/// // 2. What that means.
/// while let Some(event) = link.next_event() {
///     match event {
///         DeviceEvent::Opened => { /* Event::Connected */ }
///         DeviceEvent::Ended(end) => { /* Event::Disconnected: `end` says why */ }
///     }
/// }
/// // 3. Bytes of the stream, taken when there is room for them. What is not taken stops the sender, and nothing is lost.
/// let bytes = link.received();
/// let count = bytes.len(); // Event::Received
/// link.consume(count);
/// // 4. Bytes for the stream: `send` says how many it took; the rest again later.
/// let taken = link.send(b"hello");
/// // 5. Frames, one at a time: ask for the next when the UART has sent the last, so that answers are not kept waiting.
/// while let Some(bytes) = link.transmit(clock(), &mut frame) {
///     uart.write(bytes);
/// }
/// // 6. Sleep until bytes come, or this.
/// uart.sleep_until(link.next_deadline(clock()));
/// # }
/// # Ok::<(), wasmbed_protocol::link::AddressError>(())
/// ```
///
/// A UART whose FIFO overflows while flash is erased loses bytes on the line; they are sent again.
#[derive(Debug)]
pub struct DeviceLink<const RX: usize = 2048, const TX: usize = 2048, const LOG: usize = 512> {
    line: Line,
    state: State,
    /// Counts the openings of this boot.
    number: u16,
    address: [u8; MAX_ADDRESS],
    address_length: usize,
    stream: Stream<RX, TX>,
    opened: bool,
    ended: Option<End>,
    log: Ring<LOG>,
    log_number: u8,
    /// Packets of the stream since the last of the log.
    run: u8,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Closed,
    /// OPEN is said `at` for the next time, and after that in `pause`, until `until`.
    Opening {
        at: u64,
        pause: u64,
        until: u64,
    },
    Open {
        host_epoch: u32,
    },
}

/// What happened on a [`DeviceLink`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceEvent {
    /// The gateway is reached: bytes may go and come.
    Opened,
    /// The stream is over, or never began. Every byte that came was taken before. Told once for every [`DeviceLink::open`]
    /// that was not followed by [`DeviceLink::close`].
    Ended(End),
}

/// An address that does not fit OPEN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a gateway's address of {0} bytes: it has to have between 1 and {MAX_ADDRESS}")]
pub struct AddressError(usize);

impl<const RX: usize, const TX: usize, const LOG: usize> DeviceLink<RX, TX, LOG> {
    /// An end that has just begun. `epoch` has to differ from that of every boot before: a random number, or one counted in
    /// flash. The other end notices a reset by it.
    #[must_use]
    pub const fn new(epoch: u32) -> Self {
        Self {
            line: Line::new(epoch),
            state: State::Closed,
            number: 0,
            address: [0; MAX_ADDRESS],
            address_length: 0,
            stream: Stream::new(),
            opened: false,
            ended: None,
            log: Ring::new(),
            log_number: 0,
            run: 0,
        }
    }

    /// Asks for a stream to a gateway. One that is there is given up, without an event.
    ///
    /// # Errors
    /// When the address is empty or longer than [`MAX_ADDRESS`].
    pub fn open(&mut self, address: &str, now: u64) -> Result<(), AddressError> {
        let now = self.line.clock(now);
        let room = self.address.get_mut(..address.len()).filter(|room| !room.is_empty());
        room.ok_or(AddressError(address.len()))?.copy_from_slice(address.as_bytes());
        self.address_length = address.len();
        self.number = self.number.wrapping_add(1);
        self.stream.forget();
        self.opened = false;
        self.ended = None;
        self.state = State::Opening { at: now, pause: OPEN_AGAIN_MS.0, until: now + OPEN_MS };
        Ok(())
    }

    /// Takes what the line brought, in pieces of any size. `now` is in milliseconds, from any beginning.
    pub fn receive(&mut self, mut bytes: &[u8], now: u64) {
        let now = self.line.clock(now);
        self.tick(now);
        loop {
            let Some(raw) = self.line.decoder.next(&mut bytes) else { return };
            let Some(packet) = Packet::decode(raw) else { continue };
            let epoch = self.line.epoch;
            match packet {
                Packet::Reset { epoch: host, tag } => match &mut self.state {
                    // A host that was not there yet hears OPEN again.
                    State::Opening { at, .. } => *at = (*at).min(now),
                    State::Open { host_epoch } if *host_epoch != host => self.stream.end(End::PeerReset),
                    // One that is being closed too.
                    State::Open { .. } | State::Closed if tag == self.stream.tag() => self.stream.end(End::PeerReset),
                    State::Open { .. } | State::Closed => {}
                },
                Packet::Opened { epoch: of, number, host_epoch, limit } if of == epoch => {
                    let tag = tag(epoch, host_epoch, number);
                    match self.state {
                        State::Opening { .. } if number == self.number => {
                            self.state = State::Open { host_epoch };
                            self.stream.start(tag, limit, now);
                            self.opened = true;
                        }
                        State::Open { .. } if tag == self.stream.tag() => {}
                        State::Open { .. } if number == self.number => {
                            // The same opening by another boot of the host: it was reset in between.
                            self.stream.end(End::PeerReset);
                            self.line.reset(tag);
                        }
                        // Nobody waits for it any more.
                        _ => self.line.reset(tag),
                    }
                }
                Packet::Refused { epoch: of, number, reason } => {
                    if of == epoch && number == self.number && matches!(self.state, State::Opening { .. }) {
                        self.state = State::Closed;
                        self.ended = Some(End::Refused(Reason::from_code(reason)));
                    }
                }
                Packet::Data { tag, .. } | Packet::Credit { tag, .. } | Packet::Close { tag, .. } => {
                    let is_known = self.stream.handle(&packet, now);
                    // A host that has said OPENED may send before that is heard, or said again.
                    if !is_known && !matches!(self.state, State::Opening { .. }) {
                        self.line.reset(tag);
                    }
                }
                Packet::Closed { .. } => {
                    self.stream.handle(&packet, now);
                }
                Packet::Opened { .. } | Packet::Open { .. } | Packet::Log { .. } => {}
            }
        }
    }

    /// What happened since the last call, in order.
    pub fn next_event(&mut self) -> Option<DeviceEvent> {
        if core::mem::take(&mut self.opened) {
            return Some(DeviceEvent::Opened);
        }
        if matches!(self.state, State::Open { .. })
            && let Some(end) = self.stream.finished()
        {
            self.state = State::Closed;
            self.ended = Some(end);
        }
        self.ended.take().map(DeviceEvent::Ended)
    }

    /// Whether bytes may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. }) && self.stream.ended().is_none()
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

    /// Gives bytes to the stream; says how many were taken. They are kept here until the host has them.
    pub fn send(&mut self, bytes: &[u8]) -> usize {
        if matches!(self.state, State::Open { .. }) { self.stream.send(bytes) } else { 0 }
    }

    /// Whether the host has everything that was sent.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.stream.is_flushed()
    }

    /// Closes the stream: what was given to it is still sent, what comes is dropped, and no event follows.
    pub fn close(&mut self, now: u64) {
        let now = self.line.clock(now);
        self.stream.close(Reason::Finished, now);
        self.state = State::Closed;
        self.opened = false;
        self.ended = None;
    }

    /// Logs text, UTF-8 with its own line ends. Text that does not fit is dropped whole, and whoever reads the log sees that
    /// some is missing.
    pub fn log(&mut self, text: &[u8]) {
        if text.len() <= self.log.free() {
            self.log.push(text);
        } else {
            self.log_number = self.log_number.wrapping_add(1);
        }
    }

    /// The next frame to put on the line, in `frame`: a UART can send it from there by DMA while bytes are received here.
    /// `None` until something is received, given or [due](Self::next_deadline).
    pub fn transmit<'a>(&mut self, now: u64, frame: &'a mut FrameBuffer) -> Option<&'a [u8]> {
        let now = self.line.clock(now);
        self.tick(now);
        let is_written = self.write(frame, now);
        self.line.finish(frame, is_written)
    }

    /// When to call [`transmit`](Self::transmit) and [`next_event`](Self::next_event) again though nothing came: in the same
    /// milliseconds as `now`, and `now` if at once. `None`: not before bytes come.
    #[must_use]
    pub fn next_deadline(&self, now: u64) -> Option<u64> {
        let now = self.line.now().max(now);
        let opening = match self.state {
            State::Opening { at, until, .. } => Some(at.min(until)),
            _ => None,
        };
        let log = (!self.log.is_empty()).then_some(now);
        let is_over = matches!(self.state, State::Open { .. }) && self.stream.finished().is_some();
        let event = (self.opened || self.ended.is_some() || is_over).then_some(now);
        [opening, log, event, self.line.reset_deadline(), self.stream.deadline(now)].into_iter().flatten().min()
    }

    /// Frames that came damaged since the boot.
    #[must_use]
    pub fn damaged(&self) -> u32 {
        self.line.decoder.damaged()
    }

    fn tick(&mut self, now: u64) {
        self.stream.tick(now);
        if let State::Opening { until, .. } = self.state
            && now >= until
        {
            self.state = State::Closed;
            self.ended = Some(End::Silent);
        }
    }

    fn write(&mut self, frame: &mut FrameBuffer, now: u64) -> bool {
        if self.line.write_reset(frame, now) {
            return true;
        }
        if let State::Opening { at, pause, until } = self.state
            && now >= at
        {
            let pause_after = (2 * pause).min(OPEN_AGAIN_MS.1);
            self.state = State::Opening { at: now + pause, pause: pause_after, until };
            Packet::Open {
                version: VERSION,
                epoch: self.line.epoch,
                number: self.number,
                limit: Stream::<RX, TX>::INITIAL,
                address: &self.address[..self.address_length],
            }
            .write(frame);
            return true;
        }
        if (self.run < LOG_TURN || self.log.is_empty()) && self.stream.write(frame, now) {
            self.run = self.run.saturating_add(1);
            return true;
        }
        self.run = 0;
        if self.log.is_empty() {
            return false;
        }
        start_log(frame, self.log_number);
        let count = self.log.copy(0, &mut frame.space()[..MAX_DATA]);
        frame.advance(count);
        self.log.consume(count);
        self.log_number = self.log_number.wrapping_add(1);
        true
    }
}
