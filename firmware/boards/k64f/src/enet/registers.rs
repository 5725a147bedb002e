//! Registers by offset, and the bits that are used (reference manual, chapter 45).

pub(super) const INTERRUPTS: u32 = 0x004;
pub(super) const INTERRUPT_MASK: u32 = 0x008;
pub(super) const RECEIVE_ACTIVE: u32 = 0x010;
pub(super) const TRANSMIT_ACTIVE: u32 = 0x014;
pub(super) const CONTROL: u32 = 0x024;
pub(super) const MII_FRAME: u32 = 0x040;
pub(super) const MII_SPEED: u32 = 0x044;
pub(super) const RECEIVE_CONTROL: u32 = 0x084;
pub(super) const TRANSMIT_CONTROL: u32 = 0x0C4;
pub(super) const ADDRESS_LOW: u32 = 0x0E4;
pub(super) const ADDRESS_HIGH: u32 = 0x0E8;
/// Two words each.
pub(super) const INDIVIDUAL_HASH: u32 = 0x118;
pub(super) const GROUP_HASH: u32 = 0x120;
pub(super) const TRANSMIT_FIFO: u32 = 0x144;
pub(super) const RECEIVE_RING: u32 = 0x180;
pub(super) const TRANSMIT_RING: u32 = 0x184;
pub(super) const RECEIVE_BUFFER: u32 = 0x188;
pub(super) const TRANSMIT_ACCELERATOR: u32 = 0x1C0;
pub(super) const RECEIVE_ACCELERATOR: u32 = 0x1C4;

pub(super) const FRAME_SENT: u32 = 1 << 27;
pub(super) const FRAME_RECEIVED: u32 = 1 << 25;
pub(super) const MII_DONE: u32 = 1 << 23;
pub(super) const ACTIVE: u32 = 1 << 24;
pub(super) const RESET: u32 = 1;
pub(super) const ENABLE: u32 = 1 << 1;
/// Descriptors as this processor writes its words.
pub(super) const LITTLE_ENDIAN: u32 = 1 << 8;
/// The bus's 60 MHz by 2 (11 + 1).
pub(super) const MII_2_5_MHZ: u32 = 11 << 1;
/// The upper half of the address register: what pause frames have there.
pub(super) const PAUSE_TYPE: u32 = 0x8808;
/// A frame goes out when all of it is in the FIFO: the bus may be busy.
pub(super) const STORE_AND_FORWARD: u32 = 1 << 8;

/// RMII, frames up to 1,518 bytes with their checksum (which is cut off), padding removed.
pub(super) fn receive_control(is_10_mbit: bool) -> u32 {
    1_518 << 16 | 1 << 14 | 1 << 12 | u32::from(is_10_mbit) << 9 | 1 << 8 | 1 << 2
}

pub(super) fn transmit_control(is_full_duplex: bool) -> u32 {
    u32::from(is_full_duplex) << 2
}
