//! The UART link as a board's network: `wasmbed_protocol::link` between a UART and the device's port.
//!
//! A board gives the two halves of a UART that buffers what it receives; both are only asked, never waited for, so a read
//! or a write that is given up must lose nothing.

#![no_std]

extern crate alloc;

mod conversation;
mod log;

use core::convert::Infallible;
use core::future::pending;

use embassy_futures::select::{Either, Either3, Either4, select, select3, select4};
use embassy_time::{Instant, Timer};
use embedded_io_async::{Read, Write};
use wasmbed_board::network::{Network, Setup};
use wasmbed_board::port::{Order, Port};
use wasmbed_board::probe::{ProbeError, Probes};
use wasmbed_protocol::link::{DeviceLink, FrameBuffer, MAX_WIRE};

pub use log::LinkLog;

use conversation::Conversation;

/// Most bytes that are taken from the UART at a time.
const READ: usize = 256;

/// A way to gateways over a UART.
pub struct SerialLink<R, W> {
    reader: R,
    writer: W,
    log: Option<&'static LinkLog>,
}

impl<R: Read, W: Write> SerialLink<R, W> {
    /// A link over the two halves of a UART.
    pub fn new(reader: R, writer: W) -> Self {
        Self { reader, writer, log: None }
    }

    /// Sends the device's log over the link as well, for boards that have no other way to show it.
    #[must_use]
    pub fn with_log(self, log: &'static LinkLog) -> Self {
        Self { log: Some(log), ..self }
    }
}

/// A frame on its way to the UART.
struct Outgoing {
    bytes: [u8; MAX_WIRE],
    begin: usize,
    end: usize,
}

impl Outgoing {
    fn is_empty(&self) -> bool {
        self.begin == self.end
    }

    fn set(&mut self, frame: &[u8]) {
        self.bytes[..frame.len()].copy_from_slice(frame);
        self.begin = 0;
        self.end = frame.len();
    }

    fn rest(&self) -> &[u8] {
        &self.bytes[self.begin..self.end]
    }
}

impl<R: Read, W: Write> Network for SerialLink<R, W> {
    async fn serve(mut self, setup: Setup, port: &Port, probes: &Probes) -> Infallible {
        // Random, so it differs from that of every start before: the host tells by it that the device began anew.
        let epoch = (setup.random ^ (setup.random >> 32)) as u32;
        let mut link: DeviceLink = DeviceLink::new(epoch);
        let mut conversation = Conversation::default();
        let mut frame = FrameBuffer::new();
        let mut outgoing = Outgoing { bytes: [0; MAX_WIRE], begin: 0, end: 0 };
        let mut received = [0; READ];
        let mut text = [0; log::PIPE];
        loop {
            conversation.turn(&mut link, now());
            if outgoing.is_empty()
                && let Some(bytes) = link.transmit(now(), &mut frame)
            {
                outgoing.set(bytes);
            }
            let is_quiet = outgoing.is_empty();
            let read = self.reader.read(&mut received);
            let write = async { if is_quiet { pending().await } else { self.writer.write(outgoing.rest()).await } };
            let room = async { if conversation.has_news(&link) { port.room().await } else { pending().await } };
            // The link's own buffer of log text is empty only when there is nothing to send: before that more would be lost.
            let log = async {
                match self.log {
                    Some(log) if is_quiet => log.read(&mut text).await,
                    _ => pending().await,
                }
            };
            let due = async {
                match link.next_deadline(now()) {
                    Some(deadline) if is_quiet => Timer::at(Instant::from_millis(deadline)).await,
                    _ => pending().await,
                }
            };
            match select(select4(read, write, room, port.next_order()), select3(log, probes.next(), due)).await {
                // What the UART lost, it lost on the line: the link asks for it again.
                Either::First(Either4::First(Err(_))) => {}
                Either::First(Either4::First(Ok(count))) => link.receive(&received[..count], now()),
                Either::First(Either4::Second(Ok(count))) => outgoing.begin += count,
                // Sent again when no answer comes.
                Either::First(Either4::Second(Err(_))) => outgoing.begin = outgoing.end,
                Either::First(Either4::Third(())) => conversation.tell(&mut link, port).await,
                Either::First(Either4::Fourth(order)) => order_link(&mut conversation, &mut link, order),
                Either::Second(Either3::First(count)) => link.log(&text[..count]),
                Either::Second(Either3::Second(_)) => probes.tell(Err(ProbeError::NoNetwork)),
                Either::Second(Either3::Third(())) => {}
            }
        }
    }
}

fn order_link(conversation: &mut Conversation, link: &mut DeviceLink, order: Order) {
    match order {
        Order::Open { connection, address } => conversation.open(link, connection, &address, now()),
        Order::Send { connection, bytes } => conversation.send(connection, bytes),
        Order::Close { connection } => conversation.close(link, connection, now()),
    }
}

/// Milliseconds since the board started.
fn now() -> u64 {
    Instant::now().as_millis()
}
