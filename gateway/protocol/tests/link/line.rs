//! A simulated serial line, a millisecond a step, with a device and a host that use the link as firmware and the bridge do.

use std::collections::VecDeque;

use wasmbed_protocol::link::{
    DeviceEvent, DeviceLink, End, FrameBuffer, HostLink, HostState, MAX_WIRE, Reason, StreamId,
};

/// A small generator of numbers, so that a run can be repeated from its seed.
#[derive(Clone, Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    /// True so many times in a million.
    fn happens(&mut self, per_million: u32) -> bool {
        per_million > 0 && self.roll() % 1_000_000 < u64::from(per_million)
    }
}

/// What goes wrong with bytes on their way, in millionths of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Noise {
    pub(crate) lost: u32,
    pub(crate) flipped: u32,
    pub(crate) invented: u32,
    /// Everything that went in the last moments comes again.
    pub(crate) repeated: u32,
    /// A few hundred bytes are lost at once.
    pub(crate) cut: u32,
}

/// One direction of the line: bytes at the speed of the baud rate.
#[derive(Debug)]
pub(crate) struct Wire {
    bytes_per_s: u64,
    budget: u64,
    /// What the sender's UART holds: at most a frame.
    sending: VecDeque<u8>,
    /// What has just gone, for repetitions.
    gone: VecDeque<u8>,
    cut: usize,
    pub(crate) noise: Noise,
    dice: Dice,
    /// All bytes that went.
    pub(crate) carried: u64,
}

impl Wire {
    fn new(baud: u64, seed: u64) -> Self {
        Self {
            bytes_per_s: baud / 10,
            budget: 0,
            sending: VecDeque::new(),
            gone: VecDeque::new(),
            cut: 0,
            noise: Noise::default(),
            dice: Dice::new(seed),
            carried: 0,
        }
    }

    /// Carries what goes in one millisecond; `more` fills the UART whenever it is empty.
    fn step(&mut self, mut more: impl FnMut(&mut VecDeque<u8>)) -> Vec<u8> {
        let mut arrived = Vec::new();
        self.budget += self.bytes_per_s;
        while self.budget >= 1_000 {
            if self.sending.is_empty() {
                more(&mut self.sending);
            }
            let Some(byte) = self.sending.pop_front() else {
                self.budget = 0;
                break;
            };
            self.budget -= 1_000;
            self.carried += 1;
            self.gone.push_back(byte);
            if self.gone.len() > 2 * MAX_WIRE {
                self.gone.pop_front();
            }
            self.spoil(byte, &mut arrived);
        }
        if self.dice.happens(self.noise.invented * 10) {
            // Noise comes in pauses too.
            arrived.push(self.dice.roll() as u8);
        }
        arrived
    }

    fn spoil(&mut self, byte: u8, arrived: &mut Vec<u8>) {
        let noise = self.noise;
        if self.cut > 0 {
            self.cut -= 1;
            return;
        }
        if self.dice.happens(noise.cut) {
            self.cut = (self.dice.roll() % 600) as usize;
        } else if self.dice.happens(noise.flipped) {
            arrived.push(byte ^ 1 << (self.dice.roll() % 8));
        } else if !self.dice.happens(noise.lost) {
            arrived.push(byte);
        }
        if self.dice.happens(noise.invented) {
            arrived.push(self.dice.roll() as u8);
        }
        if self.dice.happens(noise.repeated) {
            let count = (self.dice.roll() as usize % (2 * MAX_WIRE)).min(self.gone.len());
            arrived.extend(self.gone.iter().skip(self.gone.len() - count));
        }
    }
}

/// The byte at an offset of what one side sends on a stream: another for every stream, so that nothing mixed, repeated or
/// left out looks right.
fn content(stream: u32, from_device: bool, offset: u64) -> u8 {
    let mixed = (u64::from(stream) * 2 + u64::from(from_device)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = mixed.wrapping_add(offset.wrapping_mul(0xD134_2543_DE82_EF95));
    ((mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 32) as u8
}

/// How the users of the stream behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Behaviour {
    /// Bytes that each side sends on a stream.
    pub(crate) device_sends: u64,
    pub(crate) host_sends: u64,
    /// Bytes each side takes in a millisecond.
    pub(crate) device_reads: usize,
    pub(crate) host_reads: usize,
    /// Which side closes, once all is sent and received.
    pub(crate) device_closes: bool,
}

/// Both ends and what lies between them.
pub(crate) struct Simulation {
    pub(crate) now: u64,
    pub(crate) up: Wire,
    pub(crate) down: Wire,
    pub(crate) device: DeviceLink,
    pub(crate) host: HostLink,
    boots: u32,
    behaviour: Behaviour,
    /// The device does nothing before this: it erases flash, and its UART holds only these bytes.
    pub(crate) paused_until: u64,
    fifo: VecDeque<u8>,
    attempt: u32,
    /// The device's user: its stream, bytes sent, bytes received and whose they are.
    using: Option<Use>,
    open_at: u64,
    serving: Option<(StreamId, Use)>,
    /// How the streams ended, as the device and as the host saw it.
    pub(crate) device_ends: Vec<End>,
    pub(crate) host_ends: Vec<End>,
    /// Streams on which each side received everything that was to come.
    pub(crate) completed: u32,
    /// Bytes that the users of the stream received, up and down.
    pub(crate) received: (u64, u64),
    pub(crate) log: Vec<u8>,
    pub(crate) answers_open: bool,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    stream: u32,
    sent: u64,
    received: u64,
    /// The host's boot that a stream belongs to, told by its first byte.
    boot: Option<u8>,
    closed: bool,
}

/// Bytes of a UART's FIFO.
const FIFO: usize = 16;

impl Simulation {
    pub(crate) fn new(baud: u64, seed: u64, behaviour: Behaviour) -> Self {
        let mut dice = Dice::new(seed);
        Self {
            now: 1_000,
            up: Wire::new(baud, dice.roll()),
            down: Wire::new(baud, dice.roll()),
            device: DeviceLink::new(1),
            host: HostLink::new(2),
            boots: 2,
            behaviour,
            paused_until: 0,
            fifo: VecDeque::new(),
            attempt: 0,
            using: None,
            open_at: 0,
            serving: None,
            device_ends: Vec::new(),
            host_ends: Vec::new(),
            completed: 0,
            received: (0, 0),
            log: Vec::new(),
            answers_open: true,
        }
    }

    pub(crate) fn noise(&mut self, noise: Noise) {
        self.up.noise = noise;
        self.down.noise = noise;
    }

    /// The device starts anew, in the middle of whatever it sends.
    pub(crate) fn reset_device(&mut self) {
        self.boots += 1;
        self.device = DeviceLink::new(self.boots);
        self.up.sending.clear();
        self.fifo.clear();
        self.using = None;
        self.open_at = self.now + 20;
    }

    /// The host's end starts anew.
    pub(crate) fn reset_host(&mut self) {
        self.boots += 1;
        self.host = HostLink::new(self.boots);
        self.down.sending.clear();
        self.serving = None;
    }

    pub(crate) fn run_until(&mut self, what: &str, limit_ms: u64, mut is: impl FnMut(&Self) -> bool) {
        let end = self.now + limit_ms;
        while !is(self) {
            assert!(self.now < end, "not in {limit_ms} ms: {what}; {:?} {:?}", self.device_ends, self.host_ends);
            self.step();
        }
    }

    pub(crate) fn run_for(&mut self, ms: u64) {
        for _ in 0..ms {
            self.step();
        }
    }

    pub(crate) fn step(&mut self) {
        self.now += 1;
        let now = self.now;
        let is_awake = now >= self.paused_until;
        let (device, host) = (&mut self.device, &mut self.host);
        let mut frame = FrameBuffer::new();
        let up = self.up.step(|uart| {
            if is_awake && let Some(bytes) = device.transmit(now, &mut frame) {
                uart.extend(bytes);
            }
        });
        let down = self.down.step(|uart| uart.extend(host.transmit(now, &mut frame).unwrap_or_default()));
        self.fifo.extend(down);
        if is_awake {
            // In two pieces, as a ring gives them.
            let (first, second) = self.fifo.as_slices();
            self.device.receive(first, now);
            self.device.receive(second, now);
            self.fifo.clear();
            self.use_device();
        } else {
            // What comes while nobody reads overruns what came before.
            self.fifo.truncate(FIFO);
        }
        self.host.receive(&up, now);
        self.use_host();
    }

    fn use_device(&mut self) {
        let behaviour = self.behaviour;
        while let Some(event) = self.device.next_event() {
            match event {
                DeviceEvent::Opened => {
                    let using = Use { stream: self.attempt, sent: 0, received: 0, boot: None, closed: false };
                    assert!(self.using.replace(using).is_none(), "opened twice");
                }
                DeviceEvent::Ended(end) => {
                    if let (End::ClosedByPeer(Reason::Finished), Some(using)) = (end, &self.using) {
                        assert_eq!(using.received, behaviour.host_sends, "the host closed it when all was there");
                        self.completed += 1;
                    }
                    self.device_ends.push(end);
                    self.using = None;
                    self.open_at = self.now + 50;
                }
            }
        }
        let Some(using) = &mut self.using else {
            if self.open_at != u64::MAX && self.now >= self.open_at {
                self.attempt += 1;
                self.device.open(&format!("{}", self.attempt), self.now).unwrap();
                self.open_at = u64::MAX;
            }
            return;
        };
        let mut budget = behaviour.device_reads;
        while budget > 0 && !self.device.received().is_empty() {
            let bytes = self.device.received();
            let count = bytes.len().min(budget);
            for &byte in &bytes[..count] {
                let boot = *using.boot.get_or_insert(byte);
                if using.received > 0 {
                    let expected = content(using.stream << 8 | u32::from(boot), false, using.received);
                    assert_eq!(byte, expected, "byte {} to the device on {using:?}", using.received);
                }
                using.received += 1;
            }
            self.received.1 += count as u64;
            self.device.consume(count);
            budget -= count;
        }
        let mut piece = Vec::new();
        while using.sent < behaviour.device_sends {
            let end = behaviour.device_sends.min(using.sent + 100);
            piece.clear();
            piece.extend((using.sent..end).map(|offset| content(using.stream, true, offset)));
            let taken = self.device.send(&piece);
            using.sent += taken as u64;
            if taken < piece.len() {
                break;
            }
        }
        let is_done = using.sent == behaviour.device_sends && using.received == behaviour.host_sends;
        if behaviour.device_closes && is_done && self.device.is_flushed() {
            self.device.close(self.now);
            self.completed += 1;
            self.using = None;
            self.open_at = self.now + 50;
        }
    }

    fn use_host(&mut self) {
        let behaviour = self.behaviour;
        let bytes = self.host.log();
        self.log.extend_from_slice(bytes);
        self.host.consume_log(self.host.log().len());
        let state = self.host.state();
        match state {
            HostState::Idle => self.serving = None,
            HostState::Asked(id) => {
                self.serving = None;
                if self.answers_open {
                    let stream = self.host.address().parse().unwrap();
                    self.serving = Some((id, Use { stream, sent: 0, received: 0, boot: None, closed: false }));
                    self.host.accept(id);
                }
            }
            HostState::Open(id) | HostState::Ended(id, _) => {
                if self.serving.is_some_and(|(serving, _)| serving != id) {
                    self.serving = None;
                }
            }
        }
        let Some((_, serving)) = &mut self.serving else { return };
        if let HostState::Ended(_, end) = state {
            if end == End::ClosedByPeer(Reason::Finished) && !serving.closed {
                assert_eq!(serving.received, behaviour.device_sends, "the device closed it when all was there");
            }
            self.host_ends.push(end);
            self.serving = None;
            return;
        }
        let mut budget = behaviour.host_reads;
        while budget > 0 && !self.host.received().is_empty() {
            let bytes = self.host.received();
            let count = bytes.len().min(budget);
            for &byte in &bytes[..count] {
                let expected = content(serving.stream, true, serving.received);
                assert_eq!(byte, expected, "byte {} to the host on {serving:?}", serving.received);
                serving.received += 1;
            }
            self.received.0 += count as u64;
            self.host.consume(count);
            budget -= count;
        }
        // The boot is in the first byte, and in all that follow.
        let boot = (self.boots & 0xFF) as u8;
        let boot = *serving.boot.get_or_insert(boot);
        while serving.sent < behaviour.host_sends && self.host.space() > 0 {
            let end = behaviour.host_sends.min(serving.sent + 300);
            let stream = serving.stream << 8 | u32::from(boot);
            let byte = |offset| if offset == 0 { boot } else { content(stream, false, offset) };
            let piece: Vec<u8> = (serving.sent..end).map(byte).collect();
            serving.sent += self.host.send(&piece) as u64;
        }
        let is_done = serving.sent == behaviour.host_sends && serving.received == behaviour.device_sends;
        if !behaviour.device_closes && is_done && !serving.closed {
            serving.closed = true;
            self.host.close(Reason::Finished, self.now);
        }
    }
}
