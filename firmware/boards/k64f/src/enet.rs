//! Driver of the Ethernet controller (ENET) for embassy-net.
//!
//! The controller takes and gives frames by rings of descriptors in memory. They are in the driver's [`Memory`], which the board
//! lends for good; registers are reached through a [`Bus`], so that the driver meets a model of the controller in tests.

mod phy;
mod registers;
mod rings;

use core::future::Future as _;
use core::pin::pin;
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState};
use embassy_sync::waitqueue::AtomicWaker;
use embassy_time::{Duration, Timer};

use phy::Phy;
use registers as reg;

pub use rings::{BUFFER, Memory, RECEIVE, TRANSMIT};
use rings::{Received, ToSend};

/// Longest frame without its checksum: header and 1,500 bytes.
pub const MAX_FRAME: usize = 1_514;
/// How often the PHY is asked whether a cable is there.
const LINK: Duration = Duration::from_millis(500);
/// How often a register is read before the controller counts as stuck.
const PATIENCE: u32 = 100_000;

/// The controller's registers.
pub trait Bus {
    /// Reads the register at this offset.
    fn read(&self, offset: u32) -> u32;

    /// Writes the register at this offset.
    fn write(&self, offset: u32, value: u32);
}

/// Why the controller cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartError {
    /// It does not come out of its reset.
    Stuck,
    /// No PHY answers.
    NoPhy,
}

impl core::fmt::Display for StartError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Stuck => "the Ethernet controller does not come out of its reset",
            Self::NoPhy => "no PHY answers the Ethernet controller",
        })
    }
}

impl core::error::Error for StartError {}

/// A started controller.
pub struct Enet<B> {
    bus: B,
    memory: &'static mut Memory,
    phy: Phy,
    address: [u8; 6],
    waker: &'static AtomicWaker,
}

impl<B: Bus> Enet<B> {
    /// Resets the controller and starts it.
    ///
    /// # Errors
    /// The controller or its PHY does not answer.
    pub fn start(
        bus: B,
        memory: &'static mut Memory,
        address: [u8; 6],
        waker: &'static AtomicWaker,
    ) -> Result<Self, StartError> {
        bus.write(reg::CONTROL, reg::RESET);
        if !(0..PATIENCE).any(|_| bus.read(reg::CONTROL) & reg::RESET == 0) {
            return Err(StartError::Stuck);
        }
        bus.write(reg::INTERRUPT_MASK, 0);
        bus.write(reg::INTERRUPTS, u32::MAX);
        bus.write(reg::MII_SPEED, reg::MII_2_5_MHZ);
        let phy = Phy::start(&bus).ok_or(StartError::NoPhy)?;

        let [a, b, c, d, e, f] = address;
        bus.write(reg::ADDRESS_LOW, u32::from_be_bytes([a, b, c, d]));
        bus.write(reg::ADDRESS_HIGH, u32::from_be_bytes([e, f, 0, 0]) | reg::PAUSE_TYPE);
        // No group of receivers but all of them, which always come.
        for hash in [reg::INDIVIDUAL_HASH, reg::INDIVIDUAL_HASH + 4, reg::GROUP_HASH, reg::GROUP_HASH + 4] {
            bus.write(hash, 0);
        }
        bus.write(reg::RECEIVE_BUFFER, BUFFER as u32);
        bus.write(reg::RECEIVE_ACCELERATOR, 0);
        bus.write(reg::TRANSMIT_ACCELERATOR, 0);
        bus.write(reg::TRANSMIT_FIFO, reg::STORE_AND_FORWARD);
        bus.write(reg::INTERRUPT_MASK, reg::FRAME_RECEIVED | reg::FRAME_SENT);
        let mut enet = Self { bus, memory, phy, address, waker };
        enet.enable();
        Ok(enet)
    }

    /// Begins with empty rings, as the ends of the cable agreed.
    fn enable(&mut self) {
        let Self { bus, memory, phy, .. } = self;
        // The controller has to be off for what follows.
        bus.write(reg::CONTROL, reg::LITTLE_ENDIAN);
        memory.prepare();
        bus.write(reg::RECEIVE_RING, memory.received.address());
        bus.write(reg::TRANSMIT_RING, memory.to_send.address());
        bus.write(reg::RECEIVE_CONTROL, reg::receive_control(phy.link().is_10_mbit));
        bus.write(reg::TRANSMIT_CONTROL, reg::transmit_control(phy.link().is_full_duplex));
        bus.write(reg::CONTROL, reg::ENABLE | reg::LITTLE_ENDIAN);
        bus.write(reg::RECEIVE_ACTIVE, reg::ACTIVE);
    }

    /// What the interrupt's handler does: the line is active until it did.
    pub fn acknowledge(bus: &B) {
        bus.write(reg::INTERRUPTS, reg::FRAME_RECEIVED | reg::FRAME_SENT);
    }

    fn link(&mut self, cx: &mut Context<'_>) -> LinkState {
        // Whether it changes is nothing the controller interrupts for.
        let _ = pin!(Timer::after(LINK)).poll(cx);
        if self.phy.poll(&self.bus).is_some() {
            self.enable();
        }
        if self.phy.is_up() { LinkState::Up } else { LinkState::Down }
    }
}

impl<B: Bus> Driver for Enet<B> {
    type RxToken<'a>
        = RxToken<'a, B>
    where
        Self: 'a;
    type TxToken<'a>
        = TxToken<'a, B>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(RxToken<'_, B>, TxToken<'_, B>)> {
        // Before the look: whatever comes after it wakes.
        self.waker.register(cx.waker());
        let Self { bus, memory: Memory { received, to_send }, .. } = self;
        // An answer may have to be sent while the frame is looked at.
        if !to_send.has_room() {
            return None;
        }
        while let Some((length, is_good)) = received.front() {
            if is_good {
                return Some((RxToken { bus, received, length }, TxToken { bus, to_send }));
            }
            received.release();
            bus.write(reg::RECEIVE_ACTIVE, reg::ACTIVE);
        }
        None
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<TxToken<'_, B>> {
        self.waker.register(cx.waker());
        let Self { bus, memory: Memory { to_send, .. }, .. } = self;
        to_send.has_room().then_some(TxToken { bus, to_send })
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.link(cx)
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = MAX_FRAME;
        capabilities.max_burst_size = Some(TRANSMIT);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that was received.
pub struct RxToken<'a, B> {
    bus: &'a B,
    received: &'a mut Received,
    length: usize,
}

impl<B: Bus> embassy_net_driver::RxToken for RxToken<'_, B> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, f: F) -> R {
        let result = f(self.received.frame(self.length));
        self.received.release();
        // It stops where it finds no room, until it is told.
        self.bus.write(reg::RECEIVE_ACTIVE, reg::ACTIVE);
        result
    }
}

/// Room for a frame to send.
pub struct TxToken<'a, B> {
    bus: &'a B,
    to_send: &'a mut ToSend,
}

impl<B: Bus> embassy_net_driver::TxToken for TxToken<'_, B> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let length = length.min(MAX_FRAME);
        let result = f(self.to_send.frame(length));
        self.to_send.send(length);
        self.bus.write(reg::TRANSMIT_ACTIVE, reg::ACTIVE);
        result
    }
}
