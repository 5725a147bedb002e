//! Packets: what a frame carries. The first byte is the channel in its two upper bits, and on `control` the kind.

use super::frame::{CRC, FrameBuffer, MAX_RAW};

/// Most bytes of the stream, or of the log, in one packet.
pub const MAX_DATA: usize = MAX_RAW - CRC - DATA_HEADER;

/// Longest address in OPEN, in bytes: the longest a device is provisioned with.
pub const MAX_ADDRESS: usize = 200;

/// First byte, tag and offset of DATA.
const DATA_HEADER: usize = 9;

const RESET: u8 = 0x00;
const OPEN: u8 = 0x01;
const OPENED: u8 = 0x02;
const REFUSED: u8 = 0x03;
const CREDIT: u8 = 0x04;
const CLOSE: u8 = 0x05;
const CLOSED: u8 = 0x06;
const DATA: u8 = 0x40;
const LOG: u8 = 0x80;

/// One packet. Numbers of more than one byte are little endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The sender began anew, or knows no stream of this tag.
    Reset {
        /// Of the sender.
        epoch: u32,
        /// The tag that is not known; 0 for none.
        tag: u32,
    },
    /// The device asks for a stream to a gateway.
    Open {
        /// [`VERSION`](super::VERSION).
        version: u8,
        /// Of the device.
        epoch: u32,
        /// Counts the openings of an epoch.
        number: u16,
        /// The host may send bytes before this offset.
        limit: u32,
        /// `host:port`, as the device has it.
        address: &'a [u8],
    },
    /// The stream is there.
    Opened {
        /// Of the device, as in OPEN.
        epoch: u32,
        /// As in OPEN.
        number: u16,
        /// Of the host.
        host_epoch: u32,
        /// The device may send bytes before this offset.
        limit: u32,
    },
    /// There will be no stream.
    Refused {
        /// Of the device, as in OPEN.
        epoch: u32,
        /// As in OPEN.
        number: u16,
        /// Why: a [`Reason`](super::Reason)'s code.
        reason: u8,
    },
    /// What has come, and what may be sent.
    Credit {
        /// Of the stream.
        tag: u32,
        /// All bytes before this offset have come.
        next: u32,
        /// Bytes before this offset may be sent.
        limit: u32,
        /// Bytes behind `next` came and were dropped: send again from there.
        gap: bool,
    },
    /// The sender has sent everything, all of it has come, and it wants nothing more.
    Close {
        /// Of the stream.
        tag: u32,
        /// Why: a [`Reason`](super::Reason)'s code.
        reason: u8,
    },
    /// Answers CLOSE, once every byte of the stream is taken.
    Closed {
        /// Of the stream.
        tag: u32,
    },
    /// Bytes of the stream; none asks for a CREDIT.
    Data {
        /// Of the stream.
        tag: u32,
        /// Of the first byte.
        offset: u32,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Text for whoever watches the line.
    Log {
        /// Counts what was logged, so that a gap shows.
        number: u8,
        /// UTF-8, cut anywhere.
        bytes: &'a [u8],
    },
}

impl<'a> Packet<'a> {
    /// Reads a packet. `None` for one that is too short, and for kinds and channels that do not exist yet. Bytes behind what
    /// is known are skipped, so that a later version may add some.
    #[must_use]
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = Fields(bytes);
        let packet = match rest.u8()? {
            RESET => Self::Reset { epoch: rest.u32()?, tag: rest.u32()? },
            OPEN => Self::Open {
                version: rest.u8()?,
                epoch: rest.u32()?,
                number: rest.u16()?,
                limit: rest.u32()?,
                address: rest.counted()?,
            },
            OPENED => {
                Self::Opened { epoch: rest.u32()?, number: rest.u16()?, host_epoch: rest.u32()?, limit: rest.u32()? }
            }
            REFUSED => Self::Refused { epoch: rest.u32()?, number: rest.u16()?, reason: rest.u8()? },
            CREDIT => {
                Self::Credit { tag: rest.u32()?, next: rest.u32()?, limit: rest.u32()?, gap: rest.u8()? & 1 == 1 }
            }
            CLOSE => Self::Close { tag: rest.u32()?, reason: rest.u8()? },
            CLOSED => Self::Closed { tag: rest.u32()? },
            DATA => Self::Data { tag: rest.u32()?, offset: rest.u32()?, bytes: rest.0 },
            LOG => Self::Log { number: rest.u8()?, bytes: rest.0 },
            _ => return None,
        };
        Some(packet)
    }

    /// Writes the packet as a whole frame, a zero before it if `leading`.
    pub fn encode<'b>(&self, frame: &'b mut FrameBuffer, leading: bool) -> &'b [u8] {
        self.write(frame);
        frame.finish(leading)
    }

    pub(super) fn write(&self, frame: &mut FrameBuffer) {
        frame.start();
        match *self {
            Self::Reset { epoch, tag } => {
                frame.put(&[RESET]);
                frame.put(&epoch.to_le_bytes());
                frame.put(&tag.to_le_bytes());
            }
            Self::Open { version, epoch, number, limit, address } => {
                let address = &address[..address.len().min(MAX_ADDRESS)];
                frame.put(&[OPEN, version]);
                frame.put(&epoch.to_le_bytes());
                frame.put(&number.to_le_bytes());
                frame.put(&limit.to_le_bytes());
                frame.put(&[u8::try_from(address.len()).expect("MAX_ADDRESS fits a byte")]);
                frame.put(address);
            }
            Self::Opened { epoch, number, host_epoch, limit } => {
                frame.put(&[OPENED]);
                frame.put(&epoch.to_le_bytes());
                frame.put(&number.to_le_bytes());
                frame.put(&host_epoch.to_le_bytes());
                frame.put(&limit.to_le_bytes());
            }
            Self::Refused { epoch, number, reason } => {
                frame.put(&[REFUSED]);
                frame.put(&epoch.to_le_bytes());
                frame.put(&number.to_le_bytes());
                frame.put(&[reason]);
            }
            Self::Credit { tag, next, limit, gap } => {
                frame.put(&[CREDIT]);
                frame.put(&tag.to_le_bytes());
                frame.put(&next.to_le_bytes());
                frame.put(&limit.to_le_bytes());
                frame.put(&[u8::from(gap)]);
            }
            Self::Close { tag, reason } => {
                frame.put(&[CLOSE]);
                frame.put(&tag.to_le_bytes());
                frame.put(&[reason]);
            }
            Self::Closed { tag } => {
                frame.put(&[CLOSED]);
                frame.put(&tag.to_le_bytes());
            }
            Self::Data { tag, offset, bytes } => {
                start_data(frame, tag, offset);
                frame.put(bytes);
            }
            Self::Log { number, bytes } => {
                start_log(frame, number);
                frame.put(bytes);
            }
        }
    }
}

/// Begins DATA, whose bytes are written behind it.
pub(super) fn start_data(frame: &mut FrameBuffer, tag: u32, offset: u32) {
    frame.start();
    frame.put(&[DATA]);
    frame.put(&tag.to_le_bytes());
    frame.put(&offset.to_le_bytes());
}

/// Begins LOG, whose text is written behind it.
pub(super) fn start_log(frame: &mut FrameBuffer, number: u8) {
    frame.start();
    frame.put(&[LOG, number]);
}

/// What is left of a packet.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn counted(&mut self) -> Option<&'a [u8]> {
        let count = self.u8()?;
        self.take(usize::from(count))
    }
}
