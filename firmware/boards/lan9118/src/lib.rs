//! Driver of the LAN9118 (and LAN9220) Ethernet controller for embassy-net.
//!
//! The chip sits on a memory bus, which the board gives as a [`Bus`]; what is here is the same for every board, and is
//! tested against a model of the chip on the host.

#![no_std]

mod frame;
mod registers;

use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};
use embassy_sync::waitqueue::AtomicWaker;

use frame::{MAX_FRAME, WORDS, Words};
use registers as reg;

/// The chip's registers, and the interrupt it raises.
pub trait Bus {
    /// Reads the register at this offset.
    fn read(&mut self, offset: u32) -> u32;

    /// Writes the register at this offset.
    fn write(&mut self, offset: u32, value: u32);

    /// Lets the chip's interrupt through again. Its handler masks it, for the line stays active until the driver has
    /// looked, and wakes the [`AtomicWaker`] given to the driver.
    fn listen(&mut self);
}

/// Why the chip cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// The register that always reads the same value does not: there is no such chip, or the bus is not set up.
    Absent,
    /// It is there and does not become ready.
    Stuck,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Absent => "no LAN9118 answers on the bus",
            Self::Stuck => "the LAN9118 does not become ready",
        })
    }
}

impl core::error::Error for StartError {}

/// How often a register is read before the chip counts as stuck; its own times are below 10 ms.
const PATIENCE: u32 = 1_000_000;

/// A started chip.
pub struct Lan9118<B> {
    bus: B,
    address: [u8; 6],
    waker: &'static AtomicWaker,
    received: Words,
    to_send: Words,
}

impl<B: Bus> Lan9118<B> {
    /// Resets the chip and starts it. Without an `address` it keeps the one it loaded from its EEPROM, if that holds one.
    ///
    /// # Errors
    /// The chip is not there, or not well.
    pub fn start(mut bus: B, address: [u8; 6], waker: &'static AtomicWaker) -> Result<Self, StartError> {
        if bus.read(reg::BYTE_TEST) != reg::BYTE_TEST_VALUE {
            return Err(StartError::Absent);
        }
        wait(&mut bus, reg::PMT_CTRL, |value| value & reg::PMT_READY != 0)?;
        bus.write(reg::HW_CFG, reg::HW_SOFT_RESET);
        wait(&mut bus, reg::HW_CFG, |value| value & reg::HW_SOFT_RESET == 0)?;
        bus.write(reg::HW_CFG, reg::HW_MUST_BE_ONE | reg::HW_TX_FIFO_5K);
        bus.write(reg::AFC_CFG, reg::AFC_DEFAULT);
        // Nothing is unmasked in the interrupt controller before this: until it is configured so, QEMU's chip drives the
        // line the other way round, and its interrupt never ends.
        bus.write(reg::INT_EN, 0);
        bus.write(reg::INT_STS, u32::MAX);
        bus.write(reg::FIFO_INT, reg::FIFO_INT_EVERY_FRAME);
        bus.write(reg::IRQ_CFG, reg::IRQ_ENABLE | reg::IRQ_ACTIVE_HIGH | reg::IRQ_PUSH_PULL);
        let [a, b, c, d, e, f] = address;
        write_mac(&mut bus, reg::MAC_ADDRL, u32::from_le_bytes([a, b, c, d]))?;
        write_mac(&mut bus, reg::MAC_ADDRH, u32::from_le_bytes([e, f, 0, 0]))?;
        write_mac(&mut bus, reg::MAC_CR, reg::MAC_FULL_DUPLEX | reg::MAC_TX | reg::MAC_RX)?;
        bus.write(reg::TX_CFG, reg::TX_ON);
        bus.write(reg::RX_CFG, 0);
        bus.write(reg::INT_EN, reg::INT_RX_STATUS);
        Ok(Self { bus, address, waker, received: Words::new(), to_send: Words::new() })
    }

    /// Takes the next good frame off the chip; its length in bytes, without the checksum.
    fn take_frame(&mut self) -> Option<usize> {
        while (self.bus.read(reg::RX_FIFO_INF) >> 16) & 0xFF != 0 {
            let status = self.bus.read(reg::RX_STATUS_FIFO);
            // With the checksum, which the chip leaves at the end.
            let length = (status >> 16) as usize & 0x3FFF;
            let words = length.div_ceil(4);
            let good = status & reg::RX_ERROR == 0 && (4..=MAX_FRAME + 4).contains(&length);
            for index in 0..words {
                let word = self.bus.read(reg::RX_DATA_FIFO);
                if good && index < WORDS {
                    self.received.set(index, word);
                }
            }
            if good {
                return Some(length - 4);
            }
        }
        None
    }

    fn can_send(&mut self) -> bool {
        // What became of frames sent is nothing anybody asks; but the FIFO of it must not fill.
        while (self.bus.read(reg::TX_FIFO_INF) >> 16) & 0xFF != 0 {
            self.bus.read(reg::TX_STATUS_FIFO);
        }
        self.bus.read(reg::TX_FIFO_INF) & 0xFFFF >= (MAX_FRAME + 16) as u32
    }
}

fn wait<B: Bus>(bus: &mut B, register: u32, done: impl Fn(u32) -> bool) -> Result<(), StartError> {
    for _ in 0..PATIENCE {
        if done(bus.read(register)) {
            return Ok(());
        }
    }
    Err(StartError::Stuck)
}

fn write_mac<B: Bus>(bus: &mut B, register: u32, value: u32) -> Result<(), StartError> {
    let idle = |value| value & reg::MAC_CSR_BUSY == 0;
    wait(bus, reg::MAC_CSR_CMD, idle)?;
    bus.write(reg::MAC_CSR_DATA, value);
    bus.write(reg::MAC_CSR_CMD, reg::MAC_CSR_BUSY | register);
    wait(bus, reg::MAC_CSR_CMD, idle)
}

impl<B: Bus> Driver for Lan9118<B> {
    type RxToken<'a>
        = RxToken<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = TxToken<'a, B>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(RxToken<'_>, TxToken<'_, B>)> {
        self.waker.register(cx.waker());
        // An answer may have to be sent while the frame is looked at.
        if !self.can_send() {
            cx.waker().wake_by_ref();
            return None;
        }
        let length = match self.take_frame() {
            Some(length) => length,
            None => {
                // In this order: a frame that arrives after the line was cleared raises it again.
                self.bus.write(reg::INT_STS, reg::INT_RX_STATUS);
                let late = self.take_frame();
                if late.is_none() {
                    self.bus.listen();
                }
                late?
            }
        };
        Some((
            RxToken { frame: &mut self.received.bytes_mut()[..length] },
            TxToken { bus: &mut self.bus, to_send: &mut self.to_send },
        ))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<TxToken<'_, B>> {
        if !self.can_send() {
            // The chip sends a frame in 120 µs at most: it is asked again rather than waited for.
            cx.waker().wake_by_ref();
            return None;
        }
        Some(TxToken { bus: &mut self.bus, to_send: &mut self.to_send })
    }

    fn link_state(&mut self, _cx: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAX_FRAME;
        // No `max_burst_size`: smoltcp would announce a smaller window than the socket has, and then without end want to
        // announce a larger one, so that the device never sleeps.
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that was received.
pub struct RxToken<'a> {
    frame: &'a mut [u8],
}

impl embassy_net_driver::RxToken for RxToken<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        f(self.frame)
    }
}

/// Room for a frame to send.
pub struct TxToken<'a, B> {
    bus: &'a mut B,
    to_send: &'a mut Words,
}

impl<B: Bus> embassy_net_driver::TxToken for TxToken<'_, B> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let length = length.min(MAX_FRAME);
        let result = f(&mut self.to_send.bytes_mut()[..length]);
        let length_bits = length as u32;
        self.bus.write(reg::TX_DATA_FIFO, reg::TX_FIRST_AND_LAST | length_bits);
        self.bus.write(reg::TX_DATA_FIFO, length_bits);
        for index in 0..length.div_ceil(4) {
            self.bus.write(reg::TX_DATA_FIFO, self.to_send.word(index));
        }
        result
    }
}
