//! The UART link: a byte stream to a gateway, and a log, over a serial line.
//!
//! A board without a network has a UART. On it go frames: a packet with its CRC-32 behind it, encoded by COBS, between
//! zero bytes. Three channels share the line: `tls` is a reliable byte stream, `log` is text that may be lost, `control`
//! makes and ends the stream. The device's end is a [`DeviceLink`], the host's a [`HostLink`]; both are sans-I/O: bytes and
//! the time in milliseconds come in, frames and deadlines go out. Neither allocates, and neither can be made to hold
//! more than its fixed buffers by whatever the line brings.
//!
//! # Rules
//! - **Frames** ([`frame`]): what does not decode, or has another CRC, is dropped. Zero bytes never stand inside a frame, so
//!   the next one is where an end that lost its place finds it again.
//! - **Epochs**: each end has a number of its own for each boot. Both, and the number of the opening, give the *tag* that
//!   every packet of a stream carries. A packet of another tag is never taken for one of this stream; it is answered by
//!   RESET, which ends the stream at the end that thought it was there.
//! - **Stream**: the device says OPEN with a gateway's address until the host says OPENED or REFUSED. Bytes are
//!   counted from 0. DATA carries the offset of its first byte and is answered by CREDIT: all bytes before `next` have come,
//!   and bytes before `limit` may be sent. What comes out of order is dropped and asked for again; what is not answered is
//!   sent again, one packet at a time until there is an answer, so a receiver that stops reading for seconds is not
//!   flooded when it comes back. An end that may not send asks with an empty DATA from time to time, and so
//!   does one that has heard nothing for [`KEEP_ALIVE_MS`].
//! - **Close**: an end that closes sends what it still has, and after all of it has come CLOSE with a reason, until CLOSED
//!   answers: the other end has taken every byte. An end that hears nothing for [`SILENCE_MS`] though it waits for
//!   an answer gives up.
//!
//! The layout of every packet stands in `docs/protocol.md`, and vectors of each in `tests/vectors/link-v1`.

mod device;
pub mod frame;
mod host;
mod line;
pub mod packet;
mod reason;
mod receiver;
mod ring;
mod round_trip;
mod sender;
mod stream;

pub use device::{AddressError, DeviceEvent, DeviceLink};
pub use frame::{FrameBuffer, MAX_WIRE};
pub use host::{HostLink, HostState, StreamId};
pub use packet::{MAX_ADDRESS, MAX_DATA};
pub use reason::{End, Reason};

/// The one version of the link there is. It stands in OPEN.
pub const VERSION: u8 = 1;

/// How long an end waits for any answer before it gives a stream up, in milliseconds. Longer than any flash erase.
pub const SILENCE_MS: u64 = 15_000;

/// After so long without a word, an end of a stream asks whether the other is there, in milliseconds.
pub const KEEP_ALIVE_MS: u64 = 10_000;

/// How long a device asks for a stream before it gives up, in milliseconds: what a host may take to connect, and more.
pub const OPEN_MS: u64 = 20_000;

/// Whether the offset `a` stands before `b`; offsets wrap at 2^32, and two of one stream are never 2^31 apart.
fn before(a: u32, b: u32) -> bool {
    b.wrapping_sub(a).cast_signed() > 0
}
