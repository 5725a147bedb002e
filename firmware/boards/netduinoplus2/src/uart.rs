//! USART1, out of which the log goes, and USART2, the link.
//!
//! QEMU's USARTs take a byte at any time, and hand the next one over when the last was read: nothing is ever lost.

use core::cell::RefCell;
use core::convert::Infallible;
use core::future::poll_fn;
use core::task::Poll;

use critical_section::Mutex;
use embassy_sync::waitqueue::AtomicWaker;
use embedded_io_async::{ErrorType, Read, Write};
use wasmbed_board::console::Console;

use crate::interrupts::Line;
use crate::registers::{Registers, USART1, USART2};

const STATUS: u32 = 0x00;
const DATA: u32 = 0x04;
const BAUD_RATE: u32 = 0x08;
const CONTROL: u32 = 0x0C;
const RECEIVED: u32 = 1 << 5;
const ENABLE: u32 = 1 << 13 | 1 << 3 | 1 << 2;
const RECEIVE_INTERRUPT: u32 = 1 << 5;
/// 16 MHz by 115,200. QEMU does not look at it.
const DIVIDER: u32 = 139;
/// Bytes of the link that wait for the device.
const RING: usize = 1_024;
/// Bytes of a frame after which others have their turn: QEMU waits for whoever reads them.
const WRITE: usize = 64;

struct Ring {
    bytes: [u8; RING],
    first: usize,
    length: usize,
}

static RECEIVED_BYTES: Mutex<RefCell<Ring>> = Mutex::new(RefCell::new(Ring { bytes: [0; RING], first: 0, length: 0 }));
static WAKER: AtomicWaker = AtomicWaker::new();

/// The log's way out.
pub(crate) struct Log(());

impl Log {
    pub(crate) fn start() -> Self {
        begin(&USART1);
        Self(())
    }
}

impl Console for Log {
    fn write(&mut self, byte: u8) -> bool {
        USART1.write(DATA, byte.into());
        true
    }
}

/// Writes without interrupts.
pub(crate) fn print(text: &str) {
    begin(&USART1);
    text.bytes().for_each(|byte| USART1.write(DATA, byte.into()));
}

/// The two halves of the link's UART.
pub(crate) fn link() -> (Receiver, Sender) {
    begin(&USART2);
    USART2.write(CONTROL, ENABLE | RECEIVE_INTERRUPT);
    Line::Usart2.unmask();
    (Receiver(()), Sender(()))
}

fn begin(usart: &Registers) {
    usart.write(BAUD_RATE, DIVIDER);
    usart.write(CONTROL, ENABLE);
}

/// Takes what came, as long as there is room.
pub(crate) fn interrupt() {
    critical_section::with(|cs| {
        let mut ring = RECEIVED_BYTES.borrow_ref_mut(cs);
        while USART2.read(STATUS) & RECEIVED != 0 {
            if ring.length == RING {
                // QEMU keeps the rest until the ring was read.
                USART2.write(CONTROL, ENABLE);
                break;
            }
            let end = (ring.first + ring.length) % RING;
            ring.bytes[end] = USART2.read(DATA) as u8;
            ring.length += 1;
        }
    });
    WAKER.wake();
}

/// What comes over the link.
pub(crate) struct Receiver(());

impl ErrorType for Receiver {
    type Error = Infallible;
}

impl Read for Receiver {
    async fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        poll_fn(|context| {
            WAKER.register(context.waker());
            let count = critical_section::with(|cs| {
                let mut ring = RECEIVED_BYTES.borrow_ref_mut(cs);
                let count = ring.length.min(bytes.len());
                for byte in &mut bytes[..count] {
                    *byte = ring.bytes[ring.first];
                    ring.first = (ring.first + 1) % RING;
                }
                ring.length -= count;
                if count > 0 {
                    USART2.write(CONTROL, ENABLE | RECEIVE_INTERRUPT);
                }
                count
            });
            if count == 0 && !bytes.is_empty() { Poll::Pending } else { Poll::Ready(Ok(count)) }
        })
        .await
    }
}

/// What goes over the link.
pub(crate) struct Sender(());

impl ErrorType for Sender {
    type Error = Infallible;
}

impl Write for Sender {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        let count = bytes.len().min(WRITE);
        bytes[..count].iter().for_each(|byte| USART2.write(DATA, (*byte).into()));
        Ok(count)
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}
